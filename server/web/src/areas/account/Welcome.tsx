// The first login, after password and second factor: the display, the keys, and off to work.
import { Button, Steps } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { homeOf } from '@/app/menu';
import { router } from '@/app/router';
import { has, useMe } from '@/app/session';

import { DisplayCheck } from './DisplayCheck';
import { Frame } from './Frame';
import { KeysAndHand } from './KeysAndHand';

export function Welcome() {
  const { t } = useTranslation(['account', 'common']);
  const me = useMe();
  const [step, setStep] = useState(0);
  if (!me) return null;
  const reads = has(me, 'reporter', 'verifier');
  const steps = reads ? ['display', 'keys'] : ['display'];
  const start = () => router.history.push(homeOf(me));
  const next = () => (step + 1 < steps.length ? setStep(step + 1) : start());
  return (
    <Frame title={t('account:welcome.title', { name: me.name })} lead={t('account:welcome.lead')} width={640}>
      {reads && <Steps size="small" current={step} responsive={false} items={steps.map((name) => ({ title: t(`account:welcome.${name}`) }))} style={{ marginBottom: 20 }} />}
      {steps[step] === 'display' && <DisplayCheck onDone={next} doneText={t('account:welcome.next')} />}
      {steps[step] === 'keys' && (
        <>
          <KeysAndHand />
          <Button type="primary" style={{ marginTop: 20 }} onClick={start}>
            {t('account:welcome.start')}
          </Button>
        </>
      )}
      <Button type="link" style={{ marginTop: 12, paddingInline: 0, display: 'block' }} onClick={start}>
        {t('account:welcome.skip')}
      </Button>
    </Frame>
  );
}
