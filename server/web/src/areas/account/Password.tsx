// Changing one's own password; other sessions end with it.
import { Alert, Button, Card, Form, Input } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { queries } from '@/app/queries';

import { changePassword } from './api';
import { take } from './entering';
import { proofFault } from './faults';
import { NewPassword } from './NewPassword';

interface Typed {
  current: string;
  password: string;
}

export function Password({ login }: { login: string }) {
  const { t } = useTranslation(['account', 'common']);
  const [form] = Form.useForm<Typed>();
  const [open, setOpen] = useState(false);
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState(false);
  const [fault, setFault] = useState<string | null>(null);

  async function send(typed: Typed) {
    setBusy(true);
    setFault(null);
    try {
      await take(await changePassword(typed.current, typed.password));
      await queries.invalidateQueries({ queryKey: ['sessions'] });
      form.resetFields();
      setOpen(false);
      setDone(true);
    } catch (error) {
      setFault(proofFault(t, error, 'current_password'));
    } finally {
      setBusy(false);
    }
  }

  return (
    <Card size="small" title={t('account:signIn.password')}>
      {done && <Alert type="success" showIcon title={t('account:password.changed')} style={{ marginBottom: 12 }} />}
      {open ? (
        <Form form={form} layout="vertical" requiredMark={false} style={{ maxWidth: 420 }} onFinish={(typed) => void send(typed)}>
          <input type="text" name="username" autoComplete="username" value={login} readOnly hidden />
          <Form.Item name="current" label={t('account:password.current')} rules={[{ required: true, message: t('account:signIn.passwordMissing') }]}>
            <Input.Password autoComplete="current-password" autoFocus maxLength={256} />
          </Form.Item>
          <NewPassword login={login} />
          {fault && <Alert type="error" showIcon role="alert" title={fault} style={{ marginBottom: 12 }} />}
          <Button type="primary" htmlType="submit" loading={busy}>
            {t('account:password.change')}
          </Button>{' '}
          <Button onClick={() => setOpen(false)}>{t('common:cancel')}</Button>
        </Form>
      ) : (
        <Button
          onClick={() => {
            setDone(false);
            setOpen(true);
          }}
        >
          {t('account:password.change')}
        </Button>
      )}
    </Card>
  );
}
