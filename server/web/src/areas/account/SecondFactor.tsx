// The second factor of one's own account: on or off, and how to change that.
import { CheckCircleFilled, WarningFilled } from '@ant-design/icons';
import { Alert, Button, Card, Form, Input, Modal } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { refresh, type Me } from '@/app/session';

import { removeSecondFactor } from './api';
import { CodeField } from './CodeField';
import { proofFault } from './faults';
import { SecondFactorSteps } from './SecondFactorSteps';

type Doing = 'nothing' | 'setting' | 'removing';

export function SecondFactor({ me }: { me: Me }) {
  const { t } = useTranslation(['account', 'common']);
  const [doing, setDoing] = useState<Doing>('nothing');
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const on = me.second_factor === true;

  async function remove(typed: { password: string; code: string }) {
    setBusy(true);
    setFault(null);
    try {
      await removeSecondFactor(typed.password, typed.code.trim());
      await refresh();
      setDoing('nothing');
    } catch (error) {
      setFault(proofFault(t, error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <Card size="small" title={t('account:factor.title')}>
      <p style={{ display: 'flex', gap: 8, alignItems: 'center', marginTop: 0 }}>
        {on ? <CheckCircleFilled style={{ color: '#2b8a3e' }} aria-hidden /> : <WarningFilled style={{ color: '#b7791f' }} aria-hidden />}
        {on ? t('account:factor.on') : t('account:factor.off')}
      </p>
      <Button onClick={() => setDoing(on ? 'removing' : 'setting')}>{on ? t('account:factor.remove') : t('account:factor.set')}</Button>
      <Modal open={doing === 'setting'} title={t('account:factor.title')} footer={null} width={520} mask={{ closable: false }} destroyOnHidden onCancel={() => setDoing('nothing')}>
        <SecondFactorSteps
          login={me.login}
          onDone={() => {
            setDoing('nothing');
            void refresh();
          }}
        />
      </Modal>
      <Modal open={doing === 'removing'} title={t('account:factor.remove')} footer={null} destroyOnHidden onCancel={() => setDoing('nothing')}>
        <p>{t('account:factor.removeHelp')}</p>
        <Form layout="vertical" requiredMark={false} onFinish={(typed: { password: string; code: string }) => void remove(typed)}>
          <Form.Item name="password" label={t('account:password.current')} rules={[{ required: true, message: t('account:signIn.passwordMissing') }]}>
            <Input.Password autoComplete="current-password" maxLength={256} />
          </Form.Item>
          <CodeField recovery />
          {fault && <Alert type="error" showIcon role="alert" title={fault} style={{ marginBottom: 12 }} />}
          <Button danger type="primary" htmlType="submit" loading={busy}>
            {t('account:factor.remove')}
          </Button>
        </Form>
      </Modal>
    </Card>
  );
}
