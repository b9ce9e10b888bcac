// Signing in: account and password, then the second factor where there is one.
import { useSearch } from '@tanstack/react-router';
import { Alert, Button, Form, Input, Typography } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { asProblem } from '@/api/problem';

import { signIn } from './api';
import { CodeField } from './CodeField';
import { goOn, take } from './entering';
import { doorFault } from './faults';
import { Frame } from './Frame';

interface Typed {
  login: string;
  password: string;
}

export function SignIn() {
  const { t } = useTranslation(['account', 'common']);
  const { back } = useSearch({ strict: false });
  const [fault, setFault] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [proven, setProven] = useState<Typed | null>(null);

  async function send(typed: Typed, code?: string) {
    setBusy(true);
    setFault(null);
    try {
      goOn(await take(await signIn(typed.login.trim(), typed.password, code)), back);
    } catch (error) {
      const problem = asProblem(error);
      if (problem.code === 'SECOND_FACTOR_REQUIRED') setProven(typed);
      else {
        setFault(doorFault(t, error));
        if (problem.code === 'BAD_CREDENTIALS') setProven(null);
      }
    } finally {
      setBusy(false);
    }
  }

  const shown = fault && <Alert type="error" showIcon role="alert" title={fault} style={{ marginBottom: 16 }} />;
  if (proven) {
    return (
      <Frame title={t('account:code.title')} lead={t('account:code.lead')}>
        <Form layout="vertical" requiredMark={false} onFinish={(typed: { code: string }) => void send(proven, typed.code)}>
          <CodeField recovery />
          {shown}
          <Button type="primary" htmlType="submit" block size="large" loading={busy}>
            {t('account:code.send')}
          </Button>
          <Button type="link" block onClick={() => setProven(null)}>
            {t('account:code.other')}
          </Button>
        </Form>
      </Frame>
    );
  }
  return (
    <Frame title={t('account:signIn.title')} lead={back && back !== '/' ? t('account:signIn.back') : undefined}>
      <Form layout="vertical" requiredMark={false} onFinish={(typed: Typed) => void send(typed)}>
        <Form.Item name="login" label={t('account:signIn.login')} rules={[{ required: true, message: t('account:signIn.loginMissing') }]}>
          <Input size="large" autoComplete="username" autoCapitalize="none" spellCheck={false} autoFocus maxLength={64} />
        </Form.Item>
        <Form.Item name="password" label={t('account:signIn.password')} rules={[{ required: true, message: t('account:signIn.passwordMissing') }]}>
          <Input.Password size="large" autoComplete="current-password" maxLength={256} />
        </Form.Item>
        {shown}
        <Button type="primary" htmlType="submit" block size="large" loading={busy}>
          {t('account:signIn.send')}
        </Button>
        <Typography.Paragraph type="secondary" style={{ margin: '16px 0 0', fontSize: 13 }}>
          {t('account:signIn.forgotten')}
        </Typography.Paragraph>
      </Form>
    </Frame>
  );
}
