// Every gateway: connected or not, since when silent, until when its certificate is good; revoked for good when a machine is lost.
import { CheckCircleFilled, CloseCircleOutlined, StopOutlined } from '@ant-design/icons';
import { Link } from '@tanstack/react-router';
import { Button, Select } from 'antd';
import { useCallback, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { request } from '@/api/request';
import { useHappened } from '@/app/live';
import { PageTitle } from '@/app/PageTitle';
import { queries } from '@/app/queries';
import { administers, choicesOf, usePlaces } from '../parts/places';
import { day, moment, now } from '@/shared/time';
import { Nothing } from '@/shared/Trouble';

import { ConfirmTyped } from '../parts/ConfirmTyped';
import { DataTable, type Column } from '../parts/DataTable';
import { isOnline, useGateways, type Gateway } from './gateway';

const DAY = 86_400_000_000;

function State({ gateway }: { gateway: Gateway }) {
  const { t } = useTranslation(['admin', 'common']);
  if (gateway.revoked_at) {
    return (
      <span className="state-bad">
        <StopOutlined aria-hidden /> {t('admin:gateways.revoked', { at: day(gateway.revoked_at) })}
      </span>
    );
  }
  return isOnline(gateway) ? (
    <span className="state-good">
      <CheckCircleFilled aria-hidden /> {t('admin:gateways.online')}
      {gateway.carrier && ` (${t(`admin:gateways.carrier.${gateway.carrier}`)})`}
    </span>
  ) : (
    <span className="state-fair">
      <CloseCircleOutlined aria-hidden /> {t('admin:gateways.offline')}
    </span>
  );
}

export function Gateways() {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const { places, nameOf } = usePlaces();
  const [clinic, setClinic] = useState<string | null>(null);
  const [revoking, setRevoking] = useState<Gateway | null>(null);
  const list = useGateways(clinic);
  const manage = administers();
  useHappened(
    ['gateway_joined', 'gateway_revoked'],
    useCallback(() => void queries.invalidateQueries({ queryKey: ['gateways'] }), []),
  );
  const columns: Column<Gateway>[] = [
    { key: 'name', title: t('admin:gateways.name'), main: true, render: (gateway) => gateway.name },
    { key: 'clinic', title: t('admin:column.clinic'), render: (gateway) => gateway.clinic_name ?? nameOf(gateway.clinic) },
    { key: 'state', title: t('admin:column.state'), render: (gateway) => <State gateway={gateway} /> },
    { key: 'seen', title: t('admin:gateways.seen'), render: (gateway) => (gateway.seen_at ? moment(gateway.seen_at) : '–') },
    { key: 'source', title: t('admin:gateways.source'), render: (gateway) => gateway.source || '–' },
    { key: 'software', title: t('admin:gateways.software'), render: (gateway) => gateway.software || '–' },
    {
      key: 'certificate',
      title: t('admin:gateways.certificate'),
      render: (gateway) => <span className={!gateway.revoked_at && gateway.certificate_until - now() < 7 * DAY ? 'state-bad' : ''}>{day(gateway.certificate_until)}</span>,
    },
    ...(manage
      ? [
          {
            key: 'do',
            title: '',
            render: (gateway: Gateway) =>
              gateway.revoked_at ? null : (
                <Button size="small" danger onClick={() => setRevoking(gateway)}>
                  {t('admin:gateways.revoke')}
                </Button>
              ),
          },
        ]
      : []),
  ];
  return (
    <div className="page">
      <PageTitle
        title={t('admin:gateways.title')}
        lead={t('admin:gateways.lead')}
        actions={<Select aria-label={t('admin:column.clinic')} placeholder={t('admin:gateways.everywhere')} allowClear showSearch={{ optionFilterProp: 'label' }} value={clinic} options={choicesOf(places)} onChange={(id: string | undefined) => setClinic(id ?? null)} style={{ minWidth: 180 }} />}
      />
      <DataTable label={t('admin:gateways.title')} columns={columns} list={list} rowKey={(gateway) => gateway.id} empty={<Nothing text={t('admin:gateways.none')}>{manage && <Link to="/clinics">{t('admin:clinics.join')}</Link>}</Nothing>} />
      <ConfirmTyped
        open={revoking !== null}
        title={t('admin:gateways.revoke')}
        explain={t('admin:gateways.revokeHelp')}
        name={revoking?.name ?? ''}
        action={t('admin:gateways.revoke')}
        onDone={async () => {
          if (revoking) await request('POST', `/api/v1/gateways/${revoking.id}/revoke`);
          await queries.invalidateQueries({ queryKey: ['gateways'] });
        }}
        onClose={() => setRevoking(null)}
      />
    </div>
  );
}
