// Signing in with account and password.
import { useNavigate, useSearch } from '@tanstack/react-router';
import { Alert, Button, Card, Form, Input } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api, ok } from '@/api/client';
import { asProblem } from '@/api/problem';
import { homeOf } from '@/app/menu';
import { begin } from '@/app/session';

export function SignIn() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { back } = useSearch({ strict: false });
  const [fault, setFault] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  async function send(typed: { login: string; password: string }) {
    setBusy(true);
    setFault(null);
    try {
      const session = await ok(api.POST('/api/v1/sessions', { body: { ...typed, kind: 'browser' } }));
      begin(session.person, session.csrf_token ?? null);
      await navigate({ to: back ?? homeOf(session.person) });
    } catch (error) {
      setFault(asProblem(error).message);
    } finally {
      setBusy(false);
    }
  }

  return (
    <main style={{ display: 'grid', placeItems: 'center', minHeight: '100%' }}>
      <Card title="medrelay" style={{ width: 'min(24rem, 94vw)' }}>
        <Form layout="vertical" onFinish={(typed: { login: string; password: string }) => void send(typed)}>
          <Form.Item name="login" label={t('common:signIn.login')} rules={[{ required: true }]}>
            <Input autoComplete="username" autoFocus />
          </Form.Item>
          <Form.Item name="password" label={t('common:signIn.password')} rules={[{ required: true }]}>
            <Input.Password autoComplete="current-password" />
          </Form.Item>
          {fault && <Alert type="error" title={fault} style={{ marginBottom: 12 }} />}
          <Button type="primary" htmlType="submit" block loading={busy}>
            {t('common:signIn.send')}
          </Button>
        </Form>
      </Card>
    </main>
  );
}
