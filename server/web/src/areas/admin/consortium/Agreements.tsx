// Agreements: which clinic sends what to which centre, how soon it is answered, who signs, where reports go.
import { PlusOutlined } from '@ant-design/icons';
import { Button, Space, Tag } from 'antd';
import { useCallback, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { request } from '@/api/request';
import { useHappened } from '@/app/live';
import { PageTitle } from '@/app/PageTitle';
import { queries } from '@/app/queries';
import { day, now } from '@/shared/time';
import { Nothing } from '@/shared/Trouble';

import { ConfirmTyped } from '../parts/ConfirmTyped';
import { DataTable, type Column } from '../parts/DataTable';
import { NextStep } from '../parts/firstSteps';
import { usePaged } from '../parts/paged';
import { AgreementForm, type Typed } from './AgreementForm';
import { Destinations } from './Destinations';

export type Agreement = Schemas['AgreementBody'];
const KEY = ['agreements'];

type Doing = { what: 'create' } | { what: 'change' | 'end' | 'destinations'; agreement: Agreement } | null;

/** In force, not yet, or over. */
export function stateOf(agreement: Agreement, at: number): 'active' | 'coming' | 'over' {
  if (agreement.valid_from > at) return 'coming';
  return agreement.valid_to && agreement.valid_to <= at ? 'over' : 'active';
}

const COLOURS = { active: 'success', coming: 'processing', over: 'default' };

export function Agreements() {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const [doing, setDoing] = useState<Doing>(null);
  const list = usePaged<Agreement>(KEY, '/api/v1/agreements');
  const stale = () => void queries.invalidateQueries({ queryKey: KEY });
  useHappened(
    ['agreement_changed'],
    useCallback(() => void queries.invalidateQueries({ queryKey: KEY }), []),
  );

  async function send(typed: Typed, key: string) {
    const body = { modalities: typed.modalities ?? [], limits: typed.limits, policy: typed.policy, weight: typed.weight, valid_to: typed.validTo };
    if (doing?.what === 'create') await request('POST', '/api/v1/agreements', { clinic: typed.clinic, centre: typed.centre, valid_from: typed.validFrom, ...body }, { key });
    if (doing?.what === 'change') await request('PATCH', `/api/v1/agreements/${doing.agreement.id}`, { version: doing.agreement.version, ...body });
    await queries.invalidateQueries({ queryKey: KEY });
  }

  const columns: Column<Agreement>[] = [
    { key: 'who', title: t('admin:agreements.sides'), main: true, render: (agreement) => `${agreement.clinic_name} → ${agreement.centre_name}` },
    {
      key: 'state',
      title: t('admin:column.state'),
      render: (agreement) => {
        const state = stateOf(agreement, now());
        return <Tag color={COLOURS[state]}>{t(`admin:agreements.state.${state}`)}</Tag>;
      },
    },
    { key: 'modalities', title: t('admin:agreements.modalities'), render: (agreement) => agreement.modalities.join(' ') || t('admin:modalities.all') },
    { key: 'limits', title: t('admin:agreements.limits'), render: ({ limits }) => t('admin:agreements.limitsShort', { stat: limits.stat_minutes, urgent: limits.urgent_minutes, routine: limits.routine_minutes }) },
    { key: 'policy', title: t('admin:agreements.policy'), render: (agreement) => t(`admin:policy.${agreement.policy}`) },
    { key: 'valid', title: t('admin:agreements.valid'), render: (agreement) => `${day(agreement.valid_from)} – ${agreement.valid_to ? day(agreement.valid_to) : t('admin:agreements.openEnd')}` },
    { key: 'weight', title: t('admin:agreements.weight'), align: 'end', render: (agreement) => agreement.weight },
    {
      key: 'do',
      title: '',
      render: (agreement) => (
        <Space size={4} wrap>
          <Button size="small" onClick={() => setDoing({ what: 'destinations', agreement })}>
            {t('admin:agreements.destinations')}
          </Button>
          {stateOf(agreement, now()) !== 'over' && (
            <>
              <Button size="small" type="text" onClick={() => setDoing({ what: 'change', agreement })}>
                {t('admin:change')}
              </Button>
              <Button size="small" type="text" danger onClick={() => setDoing({ what: 'end', agreement })}>
                {t('admin:agreements.end')}
              </Button>
            </>
          )}
        </Space>
      ),
    },
  ];
  const create = (
    <Button type="primary" icon={<PlusOutlined />} onClick={() => setDoing({ what: 'create' })}>
      {t('admin:agreements.create')}
    </Button>
  );
  return (
    <div className="page">
      <PageTitle title={t('admin:agreements.title')} lead={t('admin:agreements.lead')} actions={list.items.length > 0 && create} />
      <NextStep here="agreement" />
      <DataTable label={t('admin:agreements.title')} columns={columns} list={list} rowKey={(agreement) => agreement.id} empty={<Nothing text={t('admin:agreements.none')}>{create}</Nothing>} />
      <AgreementForm
        open={doing?.what === 'create' || doing?.what === 'change'}
        agreement={doing?.what === 'change' ? doing.agreement : null}
        onSend={send}
        onClose={() => setDoing(null)}
        onStale={stale}
      />
      <Destinations agreement={doing?.what === 'destinations' ? doing.agreement : null} onClose={() => setDoing(null)} />
      <ConfirmTyped
        open={doing?.what === 'end'}
        title={t('admin:agreements.end')}
        explain={t('admin:agreements.endHelp')}
        name={doing?.what === 'end' ? doing.agreement.clinic_name : ''}
        action={t('admin:agreements.end')}
        onDone={async () => {
          if (doing?.what !== 'end') return;
          await request('PATCH', `/api/v1/agreements/${doing.agreement.id}`, { version: doing.agreement.version, end: true });
          await queries.invalidateQueries({ queryKey: KEY });
        }}
        onClose={() => setDoing(null)}
      />
    </div>
  );
}
