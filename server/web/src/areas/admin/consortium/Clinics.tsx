// Clinics and how they are connected: gateways, devices, uploads by browser; a new gateway joins by a code.
import { Link } from '@tanstack/react-router';
import { Button, Space, Tag } from 'antd';
import { useCallback, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useHappened } from '@/app/live';
import { PageTitle } from '@/app/PageTitle';
import { queries } from '@/app/queries';
import { Nothing } from '@/shared/Trouble';

import { DataTable, type Column } from '../parts/DataTable';
import { NextStep } from '../parts/firstSteps';
import { usePlaces, type Place } from '../parts/places';
import { isOnline, useDirect, useGateways, type Gateway } from './gateway';
import { JoinCode } from './JoinCode';
import { JoinCodes } from './JoinCodes';

export function Clinics() {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const { places, loading, error, again } = usePlaces();
  const gateways = useGateways(null);
  const direct = useDirect();
  const [joining, setJoining] = useState<Place | null>(null);
  const [codes, setCodes] = useState<Place | null>(null);
  useHappened(
    ['organization_changed', 'gateway_joined', 'gateway_revoked'],
    useCallback(() => {
      void queries.invalidateQueries({ queryKey: ['organizations'] });
      void queries.invalidateQueries({ queryKey: ['gateways'] });
    }, []),
  );
  const clinics = places.filter((place) => place.kind !== 'lead_hospital' && !place.closed_at);
  const of = (place: Place): Gateway[] => gateways.items.filter((gateway) => gateway.clinic === place.id && !gateway.revoked_at);
  const columns: Column<Place>[] = [
    { key: 'name', title: t('admin:column.clinic'), main: true, render: (place) => place.name },
    { key: 'kind', title: t('admin:organizations.kind'), render: (place) => t(`admin:kind.${place.kind}`) },
    {
      key: 'gateways',
      title: t('admin:clinics.way'),
      render: (place) => {
        const all = of(place);
        const sending = direct.items.filter((device) => device.clinic === place.id);
        if (all.length === 0 && sending.length > 0) return <Link to="/devices">{t('admin:clinics.devices', { count: sending.length })}</Link>;
        if (all.length === 0) return <span className="quiet">{t('admin:clinics.noGateway')}</span>;
        return (
          <Space size={4} wrap>
            {all.map((gateway) => (
              <Tag key={gateway.id} color={isOnline(gateway) ? 'success' : 'warning'}>
                {gateway.name} · {t(isOnline(gateway) ? 'admin:gateways.online' : 'admin:gateways.offline')}
              </Tag>
            ))}
          </Space>
        );
      },
    },
    {
      key: 'do',
      title: '',
      render: (place) => (
        <Space size={4} wrap>
          <Button size="small" type="primary" ghost onClick={() => setJoining(place)}>
            {t('admin:clinics.join')}
          </Button>
          <Button size="small" onClick={() => setCodes(place)}>
            {t('admin:clinics.codes')}
          </Button>
        </Space>
      ),
    },
  ];
  return (
    <div className="page">
      <PageTitle title={t('admin:clinics.title')} lead={t('admin:clinics.lead')} actions={<Link to="/devices">{t('admin:clinics.direct')}</Link>} />
      <NextStep here="link" />
      <DataTable label={t('admin:clinics.title')} columns={columns} list={{ items: clinics, loading, error, again }} rowKey={(place) => place.id} empty={<Nothing text={t('admin:clinics.none')}><Link to="/organizations">{t('admin:home.do.clinic')}</Link></Nothing>} />
      <JoinCode clinic={joining} onClose={() => setJoining(null)} />
      <JoinCodes clinic={codes} onClose={() => setCodes(null)} />
    </div>
  );
}
