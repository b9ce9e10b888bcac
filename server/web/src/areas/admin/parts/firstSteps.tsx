// What a new installation still needs before the first study can come, and the way on from one step to the next.
import { ArrowRightOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Alert } from 'antd';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { request } from '@/api/request';

import { useGateways } from '../consortium/gateway';
import type { Page } from './paged';
import { administers, usePlaces } from './places';

export const STEPS = { clinic: '/organizations', agreement: '/agreements', people: '/people', link: '/clinics' } as const;
export type StepName = keyof typeof STEPS;

export interface Step {
  name: StepName;
  done: boolean;
  /** A clinic can also upload by browser. */
  optional: boolean;
}

/** Made stale together with the list that it is the beginning of. */
function useFirst<T>(list: string, limit: number) {
  return useQuery({ queryKey: [list, 'first', limit], queryFn: () => request<Page<T>>('GET', `/api/v1/${list}`, undefined, { query: { limit } }), enabled: administers() });
}

/** The steps; `null` until it is known which are done. */
export function useFirstSteps(): Step[] | null {
  const { places, loading } = usePlaces();
  const agreements = useFirst<Schemas['AgreementBody']>('agreements', 1);
  const people = useFirst<Schemas['PersonBody']>('people', 200);
  const devices = useFirst<Schemas['DeviceBody']>('devices', 1);
  const gateways = useGateways(null);
  if (loading || gateways.loading || !agreements.data || !people.data || !devices.data) return null;
  const roles = people.data.items.flatMap((person) => person.grants.map((grant) => grant.role));
  return [
    { name: 'clinic', done: places.some((place) => place.kind !== 'lead_hospital' && !place.closed_at), optional: false },
    { name: 'agreement', done: agreements.data.items.length > 0, optional: false },
    { name: 'people', done: roles.includes('verifier') && roles.includes('technician'), optional: false },
    { name: 'link', done: devices.data.items.length > 0 || gateways.items.length > 0, optional: true },
  ];
}

/** On the pages of the first steps: which one is next, unless it is the one that is being looked at. */
export function NextStep({ here }: { here: StepName }) {
  const { t } = useTranslation(['admin', 'common']);
  const steps = useFirstSteps();
  const next = steps?.find((step) => !step.done && !step.optional);
  if (!next || next.name === here) return null;
  return (
    <Alert
      type="info"
      showIcon
      title={t(`admin:home.help.${next.name}`)}
      action={
        <Link to={STEPS[next.name]}>
          {t('admin:home.next', { step: t(`admin:home.step.${next.name}`) })} <ArrowRightOutlined aria-hidden />
        </Link>
      }
      style={{ marginBottom: 12 }}
    />
  );
}
