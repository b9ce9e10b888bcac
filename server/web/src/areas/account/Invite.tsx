// An invitation: who one is here, a password of one's own, then the second factor and the display where they are due.
import { useQuery } from '@tanstack/react-query';
import { Alert, Button, Descriptions, Form, Result, Skeleton } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { asProblem } from '@/api/problem';
import { router } from '@/app/router';

import { acceptInvitation, openInvitation } from './api';
import { CodeField } from './CodeField';
import { take } from './entering';
import { doorFault } from './faults';
import { spend, useSecret } from './fragment';
import { Frame } from './Frame';
import { NewPassword } from './NewPassword';

interface Typed {
  password: string;
  code?: string;
}

export function Invite() {
  const { t } = useTranslation(['account', 'common']);
  const token = useSecret('/invite');
  const [fault, setFault] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const opened = useQuery({ queryKey: ['invitation', token], queryFn: () => openInvitation(token), enabled: token !== '', staleTime: Number.POSITIVE_INFINITY, gcTime: 0 });

  async function send({ password, code }: Typed) {
    setBusy(true);
    setFault(null);
    try {
      const me = await take(await acceptInvitation(token, password, code?.trim()));
      spend();
      router.history.push(me.must_enrol || opened.data?.second_factor ? '/enrol?first=1' : '/welcome');
    } catch (error) {
      setFault(doorFault(t, error));
    } finally {
      setBusy(false);
    }
  }

  if (token === '' || (opened.isError && asProblem(opened.error).status === 404)) {
    return (
      <Frame title={t('account:invite.title')}>
        <Result status="info" title={t('account:invite.over')} subTitle={t('account:invite.overHelp')} extra={<Button href="/sign-in">{t('account:signIn.title')}</Button>} />
      </Frame>
    );
  }
  if (opened.isError) {
    return (
      <Frame title={t('account:invite.title')}>
        <Alert type="error" showIcon title={doorFault(t, opened.error)} action={<Button onClick={() => void opened.refetch()}>{t('common:error.again')}</Button>} />
      </Frame>
    );
  }
  if (!opened.data) {
    return (
      <Frame title={t('account:invite.title')}>
        <Skeleton active />
      </Frame>
    );
  }
  const { name, login, organization_name: organization, second_factor: second } = opened.data;
  const lines = [
    { key: 'organization', label: t('account:invite.organization'), children: organization },
    { key: 'name', label: t('account:invite.name'), children: name },
    { key: 'login', label: t('account:signIn.login'), children: login },
  ];
  return (
    <Frame title={t('account:invite.title')} lead={second ? t('account:invite.leadSecond') : t('account:invite.lead')} width={480}>
      <Descriptions column={1} size="small" items={lines} style={{ marginBottom: 16 }} />
      <Form layout="vertical" requiredMark={false} onFinish={(typed: Typed) => void send(typed)}>
        {/* Password managers keep the account name with the password. */}
        <input type="text" name="username" autoComplete="username" value={login} readOnly hidden />
        <NewPassword login={login} first />
        {opened.data.needs_code && <CodeField recovery />}
        {fault && <Alert type="error" showIcon role="alert" title={fault} style={{ marginBottom: 16 }} />}
        <Button type="primary" htmlType="submit" block size="large" loading={busy}>
          {t('account:invite.send')}
        </Button>
      </Form>
    </Frame>
  );
}
