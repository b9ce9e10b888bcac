// Setting up the second factor: password, QR code, first code, recovery codes.
import { Alert, Button, Form, Input, Space, Steps, Typography } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { Copy } from '@/shared/Copy';
import { QrCode } from '@/shared/QrCode';

import { beginSecondFactor, confirmSecondFactor, type Secret } from './api';
import { CodeField } from './CodeField';
import { proofFault } from './faults';
import { RecoveryCodes } from './RecoveryCodes';

/** `onDone` is called when the codes for an emergency have been put away. */
export function SecondFactorSteps({ login, onDone }: { login: string; onDone: () => void }) {
  const { t } = useTranslation(['account', 'common']);
  const [secret, setSecret] = useState<Secret | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  async function attempt(work: () => Promise<void>) {
    setBusy(true);
    setFault(null);
    try {
      await work();
    } catch (error) {
      setFault(proofFault(t, error));
    } finally {
      setBusy(false);
    }
  }

  const step = codes ? 2 : secret ? 1 : 0;
  const steps = ['password', 'app', 'recovery'].map((name) => ({ title: t(`account:factor.step.${name}`) }));
  const shown = fault && <Alert type="error" showIcon role="alert" title={fault} style={{ marginBottom: 16 }} />;
  return (
    <>
      <Steps size="small" current={step} items={steps} responsive={false} style={{ marginBottom: 20 }} />
      {step === 0 && (
        <Form layout="vertical" requiredMark={false} onFinish={(typed: { password: string }) => void attempt(async () => setSecret(await beginSecondFactor(typed.password)))}>
          <input type="text" name="username" autoComplete="username" value={login} readOnly hidden />
          <Typography.Paragraph>{t('account:factor.why')}</Typography.Paragraph>
          <Form.Item name="password" label={t('account:factor.password')} rules={[{ required: true, message: t('account:signIn.passwordMissing') }]}>
            <Input.Password autoComplete="current-password" autoFocus maxLength={256} />
          </Form.Item>
          {shown}
          <Button type="primary" htmlType="submit" loading={busy}>
            {t('account:factor.next')}
          </Button>
        </Form>
      )}
      {step === 1 && secret && (
        <>
          <Typography.Paragraph>{t('account:factor.scan')}</Typography.Paragraph>
          <div style={{ textAlign: 'center' }}>
            <QrCode text={secret.uri} label={t('account:factor.qr')} size={208} />
          </div>
          <Typography.Paragraph type="secondary" style={{ fontSize: 13 }}>
            {t('account:factor.byHand')}
            <br />
            <Typography.Text code style={{ overflowWrap: 'anywhere' }}>
              {secret.secret.replace(/(.{4})(?=.)/g, '$1 ')}
            </Typography.Text>{' '}
            <Copy text={secret.secret} size="small" />
          </Typography.Paragraph>
          <Form layout="vertical" requiredMark={false} onFinish={(typed: { code: string }) => void attempt(async () => setCodes((await confirmSecondFactor(typed.code.replaceAll(/\s/g, ''))).recovery_codes))}>
            <CodeField />
            {shown}
            <Space>
              <Button type="primary" htmlType="submit" loading={busy}>
                {t('account:factor.confirm')}
              </Button>
              <Button onClick={() => setSecret(null)}>{t('account:factor.startOver')}</Button>
            </Space>
          </Form>
        </>
      )}
      {codes && <RecoveryCodes codes={codes} login={login} onDone={onDone} />}
    </>
  );
}
