// The one-time set-up of a new installation: the lead hospital and its first administrator.
import { Alert, Button, Form, Input } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { asProblem } from '@/api/problem';

import { setUp, signIn } from './api';
import { goOn, take } from './entering';
import { doorFault } from './faults';
import { spend, useSecret } from './fragment';
import { Frame } from './Frame';
import { NewPassword } from './NewPassword';

interface Typed {
  hospital: string;
  name: string;
  login: string;
  password: string;
}

export function SetUp() {
  const { t } = useTranslation(['account', 'common']);
  const token = useSecret('/setup');
  const [form] = Form.useForm<Typed>();
  const login = Form.useWatch('login', form) ?? '';
  const [fault, setFault] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  // The set-up is done even when signing in afterwards fails.
  const [done, setDone] = useState(false);

  async function send({ hospital, name, login, password }: Typed) {
    setBusy(true);
    setFault(null);
    try {
      if (!done) await setUp({ token, hospital: hospital.trim(), name: name.trim(), login: login.trim(), password });
      setDone(true);
      spend();
      goOn(await take(await signIn(login.trim(), password)));
    } catch (error) {
      const { field } = asProblem(error);
      const words = doorFault(t, error);
      if (field === 'hospital' || field === 'name' || field === 'login' || field === 'password') {
        form.setFields([{ name: field, errors: [field === 'hospital' || field === 'name' ? t('account:setUp.unfit') : words] }]);
        form.focusField(field);
      } else setFault(words);
    } finally {
      setBusy(false);
    }
  }

  return (
    <Frame title={t('account:setUp.title')} lead={t('account:setUp.lead')} width={480}>
      {!token && !done && <Alert type="warning" showIcon title={t('account:setUp.noLink')} style={{ marginBottom: 16 }} />}
      <Form form={form} layout="vertical" requiredMark={false} disabled={!token && !done} onFinish={(typed) => void send(typed)}>
        <Form.Item name="hospital" label={t('account:setUp.hospital')} rules={[{ required: true, whitespace: true, message: t('account:setUp.hospitalMissing') }]}>
          <Input autoComplete="organization" maxLength={100} autoFocus />
        </Form.Item>
        <Form.Item name="name" label={t('account:setUp.name')} rules={[{ required: true, whitespace: true, message: t('account:setUp.nameMissing') }]}>
          <Input autoComplete="name" maxLength={100} />
        </Form.Item>
        <Form.Item
          name="login"
          label={t('account:setUp.login')}
          extra={t('account:setUp.loginHelp')}
          rules={[{ required: true, message: t('account:signIn.loginMissing') }, { pattern: /^\s*[a-z0-9._@-]{2,64}\s*$/, message: t('account:fault.login') }]}
        >
          <Input autoComplete="username" autoCapitalize="none" spellCheck={false} maxLength={64} />
        </Form.Item>
        <NewPassword login={login} label={t('account:signIn.password')} />
        {fault && <Alert type="error" showIcon role="alert" title={fault} style={{ marginBottom: 16 }} />}
        <Button type="primary" htmlType="submit" block size="large" loading={busy}>
          {t('account:setUp.send')}
        </Button>
      </Form>
    </Frame>
  );
}
