// Asks for the password or a code again before something weighty, such as signing; the call that needed it then goes on by itself.
import { Alert, Form, Input, Modal, Segmented } from 'antd';
import { useCallback, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { asProblem } from '@/api/problem';
import { askProofWith, request } from '@/api/request';

import { useFirstField } from './focus';
import { plainWords } from './Trouble';

type Way = 'password' | 'code';

/** Stands once in the frame of the page: whatever `request` sends is then proved here when the relay asks for it. */
export function StepUp() {
  const { t } = useTranslation('shared');
  const [asking, setAsking] = useState(false);
  const [way, setWay] = useState<Way>('password');
  const [typed, setTyped] = useState('');
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const { body, afterOpenChange } = useFirstField();
  const waiting = useRef<((proved: boolean) => void)[]>([]);

  useEffect(() => {
    askProofWith(
      () =>
        new Promise<boolean>((settle) => {
          waiting.current.push(settle);
          setFault(null);
          setAsking(true);
        }),
    );
    return () => askProofWith(null);
  }, []);

  const close = useCallback((proved: boolean) => {
    setAsking(false);
    setTyped('');
    waiting.current.splice(0).forEach((settle) => settle(proved));
  }, []);

  async function prove() {
    if (busy || typed === '') return;
    setBusy(true);
    setFault(null);
    try {
      await request('POST', '/api/v1/me/step-up', way === 'password' ? { password: typed } : { code: typed.replaceAll(' ', '') });
      close(true);
    } catch (error) {
      // 422 and 401: it was understood and is wrong; anything else has its own words.
      const { status } = asProblem(error);
      setFault(status === 422 || status === 401 ? t(`shared:stepUp.wrong.${way}`) : plainWords(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <Modal
      open={asking}
      title={t('shared:stepUp.title')}
      okText={t('shared:stepUp.go')}
      okButtonProps={{ disabled: typed === '' }}
      confirmLoading={busy}
      onOk={() => void prove()}
      onCancel={() => close(false)}
      mask={{ closable: false }}
      zIndex={1200}
      width={420}
      afterOpenChange={afterOpenChange}
      destroyOnHidden
    >
      <p>{t('shared:stepUp.why')}</p>
      <Segmented<Way>
        value={way}
        onChange={(next) => {
          setWay(next);
          setTyped('');
        }}
        options={[
          { value: 'password', label: t('shared:stepUp.password') },
          { value: 'code', label: t('shared:stepUp.code') },
        ]}
        style={{ marginBottom: 12 }}
      />
      <div ref={body}>
        <Form onFinish={() => void prove()}>
          {way === 'password' ? (
            <Input.Password autoFocus autoComplete="current-password" aria-label={t('shared:stepUp.password')} value={typed} onChange={(event) => setTyped(event.target.value)} />
          ) : (
            <Input autoFocus inputMode="numeric" autoComplete="one-time-code" aria-label={t('shared:stepUp.code')} value={typed} onChange={(event) => setTyped(event.target.value)} />
          )}
        </Form>
      </div>
      {fault && <Alert type="error" showIcon title={fault} style={{ marginTop: 12 }} />}
    </Modal>
  );
}
