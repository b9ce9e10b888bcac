// Critical findings that nobody at the clinic has read back yet: a banner on every page, which cannot be closed.
import { BellFilled } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useCallback } from 'react';
import { useTranslation } from 'react-i18next';

import { request } from '@/api/request';
import { Countdown } from '@/shared/Countdown';
import { findingWord } from '@/shared/words';

import { useHappened } from './live';
import { queries } from './queries';

interface Open {
  id: string;
  case: string;
  case_number: string;
  code: string;
  clinic_name: string;
  raised_at: number;
  due_at: number;
}

const KEY = ['findings', 'notifying'];
const KINDS = ['finding_raised', 'finding_acknowledged', 'finding_settled'];
const SHOWN = 3;

/** The link leads to the page where it is read back. */
export function CriticalBanner() {
  const { t } = useTranslation('common');
  useHappened(
    KINDS,
    useCallback(() => void queries.invalidateQueries({ queryKey: KEY }), []),
  );
  const open = useQuery({
    queryKey: KEY,
    queryFn: () => request<{ items: Open[] }>('GET', '/api/v1/findings', undefined, { query: { stage: 'notifying', limit: 50 } }),
    refetchInterval: 30_000,
  });
  const items = [...(open.data?.items ?? [])].sort((a, b) => a.due_at - b.due_at);
  if (items.length === 0) return null;
  return (
    <section className="critical-banner" role="alert" aria-label={t('common:critical.title')}>
      <BellFilled aria-hidden />
      <div>
        <strong>{t('common:critical.lead', { count: items.length })}</strong>
        <ul>
          {items.slice(0, SHOWN).map((finding) => (
            <li key={finding.id}>
              <Link to={`/reports/${finding.case}`}>
                {findingWord(finding.code)} · {finding.case_number}
              </Link>{' '}
              <Countdown from={finding.raised_at} due={finding.due_at} />
            </li>
          ))}
        </ul>
        {items.length > SHOWN && <Link to="/reports">{t('common:critical.more', { count: items.length - SHOWN })}</Link>}
      </div>
    </section>
  );
}
