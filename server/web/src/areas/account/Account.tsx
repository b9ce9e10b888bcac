// One's own account: password, second factor, where one is signed in, how everything looks and sounds.
import { Card, Descriptions } from 'antd';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { PageTitle } from '@/app/PageTitle';
import { has, useMe } from '@/app/session';

import { KeysAndHand } from './KeysAndHand';
import { Looks } from './Looks';
import { Notices } from './Notices';
import { Password } from './Password';
import { SecondFactor } from './SecondFactor';
import { Sessions } from './Sessions';

export function Account() {
  const { t } = useTranslation(['account', 'common']);
  const me = useMe();
  if (!me) return null;
  const place = (id: string) => me.organizations?.find((organization) => organization.id === id)?.name;
  const roles = me.grants.map((grant) => [place(grant.organization), t(`common:role.${grant.role}`)].filter(Boolean).join(' · '));
  const lines = [
    { key: 'name', label: t('account:own.name'), children: me.name },
    { key: 'login', label: t('account:signIn.login'), children: me.login },
    { key: 'roles', label: t('account:own.roles'), children: roles.join('；') },
    { key: 'modalities', label: t('account:own.modalities'), children: me.modalities.length > 0 ? me.modalities.join(' ') : t('account:own.allModalities') },
  ].filter((line) => line.key !== 'modalities' || has(me, 'reporter', 'verifier'));
  return (
    <div className="page page-narrow">
      <PageTitle title={t('common:shell.account')} />
      <div style={{ display: 'grid', gap: 16 }}>
        <Card size="small" title={t('account:own.who')}>
          <Descriptions column={1} size="small" items={lines} />
        </Card>
        <Password login={me.login} />
        <SecondFactor me={me} />
        <Sessions />
        <Looks />
        <Notices />
        {has(me, 'reporter', 'verifier') && (
          <Card size="small" title={t('account:own.reading')}>
            <KeysAndHand />
          </Card>
        )}
        <Card size="small" title={t('account:display.title')}>
          <Link to="/display">{t('account:own.display')}</Link>
        </Card>
      </div>
    </div>
  );
}
