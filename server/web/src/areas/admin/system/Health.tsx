// How the system is: disk, database, queue, jobs, deliveries, and the link of every clinic.
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Alert, Card, Skeleton } from 'antd';
import { useTranslation } from 'react-i18next';

import { request } from '@/api/request';
import { PageTitle } from '@/app/PageTitle';
import { moment } from '@/shared/time';
import { Nothing, Trouble } from '@/shared/Trouble';

import { heardAt, isOnline, useDirect, useGateways } from '../consortium/gateway';
import { usePlaces } from '../parts/places';
import { Lights, Sign } from './Lights';
import { lightsOf, overall, type System } from './status';

const ALERTS = { good: 'success', fair: 'warning', bad: 'error' } as const;

/** The state of the relay, fresh every ten seconds. */
export function useSystem() {
  return useQuery({ queryKey: ['system'], queryFn: () => request<System>('GET', '/api/v1/system'), refetchInterval: 10_000 });
}

export function Health() {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const system = useSystem();
  const gateways = useGateways(null);
  const direct = useDirect();
  const { places, nameOf } = usePlaces();
  const lights = system.data ? lightsOf(system.data) : [];
  const level = overall(lights);
  const live = gateways.items.filter((gateway) => !gateway.revoked_at);
  const linked = places.filter((place) => direct.items.some((device) => device.clinic === place.id));
  const without = places.filter((place) => place.kind !== 'lead_hospital' && !place.closed_at && !live.some((gateway) => gateway.clinic === place.id) && !linked.includes(place));
  return (
    <div className="page">
      <PageTitle title={t('admin:health.title')} lead={system.data ? t('admin:health.since', { version: system.data.version, at: moment(system.data.started_at) }) : undefined} />
      {system.isError && <Trouble error={system.error} retry={() => void system.refetch()} />}
      {system.isPending && <Skeleton active />}
      {system.data && <Alert type={ALERTS[level]} showIcon title={t(`admin:health.overall.${level}`)} style={{ marginBottom: 16 }} />}
      <div style={{ display: 'grid', gap: 16, gridTemplateColumns: 'repeat(auto-fit, minmax(min(420px, 100%), 1fr))', alignItems: 'start' }}>
        {system.data && (
          <Card size="small" title={t('admin:health.server')}>
            <Lights lights={lights} />
          </Card>
        )}
        <Card size="small" title={t('admin:health.links')}>
          {gateways.error && <Trouble error={gateways.error} retry={gateways.again} />}
          {!gateways.loading && !direct.loading && live.length + linked.length + without.length === 0 && <Nothing text={t('admin:gateways.none')} />}
          <ul className="lines">
            {live.map((gateway) => (
              <li key={gateway.id} style={{ display: 'flex', gap: 12, padding: '10px 0' }}>
                <Sign level={isOnline(gateway) ? 'good' : 'bad'} />
                <div>
                  <b>{gateway.clinic_name ?? nameOf(gateway.clinic)}</b> · {gateway.name}
                  <div className="quiet">{isOnline(gateway) ? t('admin:health.linkUp') : t('admin:health.linkDown', { at: gateway.seen_at ? moment(gateway.seen_at) : '–' })}</div>
                </div>
              </li>
            ))}
            {linked.map((place) => {
              const devices = direct.items.filter((device) => device.clinic === place.id);
              const last = Math.max(...devices.map(heardAt));
              return (
                <li key={`direct ${place.id}`} style={{ display: 'flex', gap: 12, padding: '10px 0' }}>
                  <Sign level={last > 0 ? 'good' : 'fair'} />
                  <div>
                    <b>{place.name}</b> · <Link to="/devices">{t('admin:clinics.devices', { count: devices.length })}</Link>
                    <div className="quiet">{last > 0 ? t('admin:health.directHeard', { at: moment(last) }) : t('admin:devices.silent')}</div>
                  </div>
                </li>
              );
            })}
            {without.map((place) => (
              <li key={place.id} style={{ padding: '10px 0 10px 30px' }}>
                <b>{place.name}</b>
                <div className="quiet">{t('admin:clinics.noGateway')}</div>
              </li>
            ))}
          </ul>
        </Card>
      </div>
    </div>
  );
}
