// Where an administrator begins: what a new installation still needs, and how the system is.
import { CheckCircleFilled, RightCircleOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Card, Skeleton } from 'antd';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { request } from '@/api/request';
import { PageTitle } from '@/app/PageTitle';
import { Trouble } from '@/shared/Trouble';

import { useGateways } from '../consortium/gateway';
import type { Page } from '../parts/paged';
import { usePlaces } from '../parts/places';
import { useSystem } from './Health';
import { Lights, Sign } from './Lights';
import { lightsOf, overall } from './status';

function useFirst<T>(path: string, limit: number) {
  return useQuery({ queryKey: ['home', path, limit], queryFn: () => request<Page<T>>('GET', path, undefined, { query: { limit } }) });
}

const PLACES = { clinic: '/organizations', agreement: '/agreements', people: '/people', link: '/clinics' } as const;

export function Home() {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const { places, loading, error, again } = usePlaces();
  const agreements = useFirst<Schemas['AgreementBody']>('/api/v1/agreements', 1);
  const people = useFirst<Schemas['PersonBody']>('/api/v1/people', 200);
  const devices = useFirst<Schemas['DeviceBody']>('/api/v1/devices', 1);
  const gateways = useGateways(null);
  const system = useSystem();
  const grants = people.data?.items.flatMap((person) => person.grants.map((grant) => grant.role)) ?? [];
  const technicians = grants.includes('technician');
  const steps = [
    { name: 'clinic' as const, done: places.some((place) => place.kind !== 'lead_hospital' && !place.closed_at) },
    { name: 'agreement' as const, done: (agreements.data?.items.length ?? 0) > 0 },
    { name: 'people' as const, done: grants.includes('verifier') && technicians },
    { name: 'link' as const, done: (devices.data?.items.length ?? 0) > 0 || gateways.items.length > 0 },
  ];
  const known = !loading && !agreements.isPending && !people.isPending && !devices.isPending && !gateways.loading;
  const next = steps.find((step) => !step.done);
  const lights = system.data ? lightsOf(system.data) : [];
  const level = overall(lights);
  return (
    <div className="page">
      <PageTitle title={t('admin:home.title')} lead={known ? t(next ? 'admin:home.new' : 'admin:home.ready') : undefined} />
      {error && <Trouble error={error} retry={again} />}
      {!known && <Skeleton active />}
      <div style={{ display: 'grid', gap: 16, gridTemplateColumns: 'repeat(auto-fit, minmax(min(420px, 100%), 1fr))', alignItems: 'start' }}>
        {known && (
          <Card size="small" title={t('admin:home.steps')}>
            <ol style={{ listStyle: 'none', margin: 0, padding: 0 }}>
              {steps.map((step, index) => (
                <li key={step.name} style={{ display: 'flex', gap: 12, padding: '12px 0', borderTop: index > 0 ? '1px solid light-dark(#eee, #2f353b)' : 0 }}>
                  {step.done ? <CheckCircleFilled role="img" className="state-good" style={{ fontSize: 22 }} aria-label={t('admin:home.done')} /> : <RightCircleOutlined role="img" style={{ fontSize: 22 }} aria-label={t('admin:home.todo')} />}
                  <div>
                    <b>
                      {index + 1}. {t(`admin:home.step.${step.name}`)}
                    </b>
                    <div className="quiet">{t(`admin:home.help.${step.name}`)}</div>
                    <Link to={PLACES[step.name]}>{t(`admin:home.do.${step.name}`)}</Link>
                    {step.name === 'link' && (
                      <>
                        {' · '}
                        <Link to="/devices">{t('admin:home.do.device')}</Link>
                      </>
                    )}
                  </div>
                </li>
              ))}
            </ol>
          </Card>
        )}
        <Card
          size="small"
          title={
            <span style={{ display: 'inline-flex', gap: 8, alignItems: 'center' }}>
              {system.data && <Sign level={level} />} {t('admin:health.title')}
            </span>
          }
          extra={<Link to="/health">{t('admin:home.more')}</Link>}
        >
          {system.isError && <Trouble error={system.error} retry={() => void system.refetch()} />}
          {system.data && (level === 'good' ? t('admin:health.overall.good') : <Lights lights={lights.filter((light) => light.level !== 'good')} />)}
        </Card>
      </div>
    </div>
  );
}
