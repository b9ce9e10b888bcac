// People: who has an account, as what and where; invitations, second factors, closed accounts.
import { MoreOutlined, PlusOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { App, Button, Dropdown, Input, Select, Space, Tag } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { newKey, request } from '@/api/request';
import { PageTitle } from '@/app/PageTitle';
import { queries } from '@/app/queries';
import { useMe } from '@/app/session';
import { Nothing, plainWords } from '@/shared/Trouble';

import { ConfirmTyped } from '../parts/ConfirmTyped';
import { DataTable, type Column } from '../parts/DataTable';
import { NextStep } from '../parts/firstSteps';
import { everything, usePaged } from '../parts/paged';
import { choicesOf, usePlaces } from '../parts/places';
import { InvitationLink, type Invitation } from './InvitationLink';
import { PersonForm, type Person, type Typed } from './PersonForm';

const KEY = ['people'];
type Doing = { what: 'create' } | { what: 'change' | 'close' | 'factor'; person: Person } | null;

export function People() {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const { message } = App.useApp();
  const me = useMe();
  const { places, nameOf } = usePlaces();
  const [organization, setOrganization] = useState<string | null>(null);
  const [doing, setDoing] = useState<Doing>(null);
  const [link, setLink] = useState<{ name: string; invitation: Invitation } | null>(null);
  const list = usePaged<Person>(KEY, '/api/v1/people', { organization });
  const [text, setText] = useState('');
  const wanted = text.trim().toLowerCase();
  const all = useQuery({ queryKey: [...KEY, 'all', organization], queryFn: () => everything<Person>('/api/v1/people', { organization }), enabled: wanted !== '' });
  const found = (all.data ?? []).filter((person) => person.name.toLowerCase().includes(wanted) || person.login.includes(wanted));
  const shown = wanted === '' ? list : { items: found, loading: all.isPending, error: all.error, again: () => void all.refetch() };
  const renew = () => queries.invalidateQueries({ queryKey: KEY });

  async function send(typed: Typed, key: string) {
    const body = { name: typed.name.trim(), modalities: typed.modalities ?? [], grants: typed.grants };
    if (doing?.what === 'create') {
      const made = await request<Person & { person?: Person }>('POST', '/api/v1/people', { login: typed.login.trim().toLowerCase(), ...body }, { key });
      if (made.invitation) setLink({ name: body.name, invitation: made.invitation });
    }
    if (doing?.what === 'change') await request('PATCH', `/api/v1/people/${doing.person.id}`, { version: doing.person.version, ...body });
    await renew();
  }

  async function invite(person: Person) {
    try {
      const invitation = await request<Invitation>('POST', `/api/v1/people/${person.id}/invitation`, {}, { key: newKey() });
      setLink({ name: person.name, invitation });
      await renew();
    } catch (error) {
      void message.error(plainWords(error));
    }
  }

  async function open(person: Person) {
    await request('PATCH', `/api/v1/people/${person.id}`, { version: person.version, disabled: false }).catch((error: unknown) => message.error(plainWords(error)));
    await renew();
  }

  const own = (person: Person) => person.id === me?.id;
  const deeds = (person: Person) => [
    { key: 'change', label: t('admin:change'), onClick: () => setDoing({ what: 'change', person }) },
    ...(person.disabled_at ? [{ key: 'open', label: t('admin:people.open'), onClick: () => void open(person) }] : [{ key: 'invite', label: t(person.invited ? 'admin:people.inviteAgain' : 'admin:people.newPassword'), onClick: () => void invite(person) }]),
    ...(person.second_factor && !own(person) ? [{ key: 'factor', label: t('admin:people.factor'), onClick: () => setDoing({ what: 'factor', person }) }] : []),
    ...(!person.disabled_at && !own(person) ? [{ key: 'close', danger: true, label: t('admin:people.close'), onClick: () => setDoing({ what: 'close', person }) }] : []),
  ];
  const columns: Column<Person>[] = [
    { key: 'name', title: t('admin:people.name'), main: true, render: (person) => person.name },
    { key: 'login', title: t('admin:people.login'), render: (person) => person.login },
    {
      key: 'roles',
      title: t('admin:people.roles'),
      render: (person) => (
        <Space size={4} wrap>
          {person.grants.map((grant) => (
            <Tag key={`${grant.organization} ${grant.role}`}>
              {nameOf(grant.organization)} · {t(`common:role.${grant.role}`)}
            </Tag>
          ))}
        </Space>
      ),
    },
    { key: 'modalities', title: t('admin:people.modalities'), render: (person) => (person.grants.some((grant) => grant.role === 'reporter' || grant.role === 'verifier') ? person.modalities.join(' ') || t('admin:modalities.all') : '–') },
    {
      key: 'state',
      title: t('admin:column.state'),
      render: (person) => (
        <Space size={4} wrap>
          {person.disabled_at ? <Tag color="error">{t('admin:people.state.closed')}</Tag> : person.invited ? <Tag color="warning">{t('admin:people.state.invited')}</Tag> : <Tag color="success">{t('admin:people.state.active')}</Tag>}
          {person.second_factor && <Tag>{t('admin:people.state.factor')}</Tag>}
        </Space>
      ),
    },
    {
      key: 'do',
      title: '',
      render: (person) => (
        <Dropdown menu={{ items: deeds(person) }} trigger={['click']}>
          <Button size="small" icon={<MoreOutlined />} aria-label={t('admin:people.deeds', { name: person.name })}>
            {t('admin:people.manage')}
          </Button>
        </Dropdown>
      ),
    },
  ];
  const create = (
    <Button type="primary" icon={<PlusOutlined />} onClick={() => setDoing({ what: 'create' })}>
      {t('admin:people.create')}
    </Button>
  );
  return (
    <div className="page">
      <PageTitle
        title={t('admin:people.title')}
        lead={t('admin:people.lead')}
        actions={
          <>
            <Input.Search allowClear placeholder={t('admin:people.search')} aria-label={t('admin:people.search')} value={text} onChange={(event) => setText(event.target.value)} style={{ width: 200 }} />
            <Select aria-label={t('admin:column.organization')} placeholder={t('admin:people.everywhere')} allowClear showSearch={{ optionFilterProp: 'label' }} value={organization} options={choicesOf(places)} onChange={(id: string | undefined) => setOrganization(id ?? null)} style={{ minWidth: 180 }} />
            {create}
          </>
        }
      />
      <NextStep here="people" />
      <DataTable label={t('admin:people.title')} columns={columns} list={shown} rowKey={(person) => person.id} empty={<Nothing text={t(wanted === '' ? 'admin:people.none' : 'admin:people.notFound')} />} />
      <PersonForm open={doing?.what === 'create' || doing?.what === 'change'} person={doing?.what === 'change' ? doing.person : null} onSend={send} onClose={() => setDoing(null)} onStale={() => void renew()} />
      <InvitationLink shown={link} onClose={() => setLink(null)} />
      <ConfirmTyped
        open={doing?.what === 'close'}
        title={t('admin:people.close')}
        explain={t('admin:people.closeHelp')}
        name={doing?.what === 'close' ? doing.person.login : ''}
        action={t('admin:people.close')}
        onDone={async () => {
          if (doing?.what !== 'close') return;
          await request('PATCH', `/api/v1/people/${doing.person.id}`, { version: doing.person.version, disabled: true });
          await renew();
        }}
        onClose={() => setDoing(null)}
      />
      <ConfirmTyped
        open={doing?.what === 'factor'}
        title={t('admin:people.factor')}
        explain={t('admin:people.factorHelp')}
        name={doing?.what === 'factor' ? doing.person.login : ''}
        action={t('admin:people.factor')}
        onDone={async () => {
          if (doing?.what !== 'factor') return;
          await request('POST', `/api/v1/people/${doing.person.id}/second-factor/remove`);
          await renew();
        }}
        onClose={() => setDoing(null)}
      />
    </div>
  );
}
