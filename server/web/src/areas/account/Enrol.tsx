// Where somebody is led who must set up a second factor before anything else.
import { useSearch } from '@tanstack/react-router';
import { Button } from 'antd';
import { useTranslation } from 'react-i18next';

import { homeOf } from '@/app/menu';
import { router } from '@/app/router';
import { end, refresh, useMe } from '@/app/session';

import { Frame } from './Frame';
import { SecondFactorSteps } from './SecondFactorSteps';

export function Enrol() {
  const { t } = useTranslation(['account', 'common']);
  const me = useMe();
  const { first } = useSearch({ strict: false });

  async function done() {
    const now = await refresh();
    router.history.push(first ? '/welcome' : now ? homeOf(now) : '/sign-in');
  }

  if (!me) return null;
  return (
    <Frame title={t('account:factor.title')} lead={me.must_enrol ? t('account:factor.must') : undefined} width={520}>
      <SecondFactorSteps login={me.login} onDone={() => void done()} />
      <Button type="link" style={{ marginTop: 16, paddingInline: 0 }} onClick={() => void end(true).then(() => router.history.push('/sign-in'))}>
        {t('common:shell.signOut')}
      </Button>
    </Frame>
  );
}
