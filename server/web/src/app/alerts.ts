// What waits for somebody, by their roles: the numbers behind the bell, and the critical findings that nobody may overlook.
import { useQueries } from '@tanstack/react-query';
import { useCallback, useEffect, useRef } from 'react';
import i18next from 'i18next';

import { request } from '@/api/request';
import { notify, type Occasion } from '@/shared/notify';

import { type Happened, useHappened } from './live';
import { queries } from './queries';
import { has, type Me, type Role } from './session';

/** One line behind the bell. */
export interface Waiting {
  name: string;
  count: number;
  /** There are more than were counted. */
  more: boolean;
  to: string;
  /** The cases that it is about, where each is read by itself; the first few. */
  cases: { id: string; number: string; count: number }[];
}

interface Source {
  name: string;
  roles: readonly Role[];
  path: string;
  query: Record<string, string | number | boolean>;
  /** Which items count; all without it. */
  counts?: (item: Record<string, unknown>) => boolean;
  to: string;
  /** Events after which it is asked again. */
  kinds: readonly string[];
}

interface Listed {
  items: Record<string, unknown>[];
  next?: string | null;
}

const CLINIC: readonly Role[] = ['technician', 'clinic_doctor'];
const LIMIT = 100;
const SOURCES: readonly Source[] = [
  { name: 'findings', roles: CLINIC, path: '/api/v1/findings', query: { stage: 'notifying' }, to: '/reports', kinds: ['finding_raised', 'finding_acknowledged', 'finding_settled'] },
  { name: 'returned', roles: CLINIC, path: '/api/v1/cases', query: { stage: 'returned' }, to: '/cases', kinds: ['case_returned', 'case_resubmitted'] },
  { name: 'reports', roles: CLINIC, path: '/api/v1/inbox', query: {}, counts: (item) => item['acknowledged'] === false, to: '/reports', kinds: ['delivery_sent', 'final_signed', 'addendum_signed', 'report_acknowledged', 'case_delivered'] },
  { name: 'messages', roles: [...CLINIC, 'reporter', 'verifier', 'coordinator'], path: '/api/v1/messages', query: { unread: true }, to: '', kinds: ['message_written'] },
  { name: 'openFindings', roles: ['coordinator'], path: '/api/v1/findings', query: { stage: 'notifying' }, to: '/chase', kinds: ['finding_raised', 'finding_acknowledged', 'finding_settled'] },
  { name: 'parked', roles: ['coordinator'], path: '/api/v1/deliveries', query: { stage: 'parked' }, to: '/chase', kinds: ['delivery_parked', 'delivery_retried', 'delivery_sent'] },
  { name: 'unmatched', roles: ['coordinator'], path: '/api/v1/studies', query: { trouble: true }, to: '/unmatched', kinds: ['study_unmatched', 'study_matched', 'case_opened'] },
];

/** How many cases with messages are named. */
const NAMED = 8;

function atCentre(me: Me): boolean {
  return has(me, 'reporter', 'verifier', 'coordinator');
}

/** Where messages are read: by what one is. */
function messagesAt(me: Me): string {
  return atCentre(me) ? '/queue' : '/cases';
}

/** Where one reads about a case. */
export function caseAt(me: Me, id: string): string {
  return atCentre(me) ? `/case/${id}` : `/reports/${id}`;
}

/** The cases of messages, those that were written to last first. */
function casesOf(items: Record<string, unknown>[]): Waiting['cases'] {
  const found = new Map<string, Waiting['cases'][number]>();
  for (const { case: id, case_number: number } of items) {
    if (typeof id !== 'string' || typeof number !== 'string') continue;
    found.set(id, { id, number, count: (found.get(id)?.count ?? 0) + 1 });
  }
  return [...found.values()].slice(0, NAMED);
}

function keyOf(source: Source): string[] {
  return ['alerts', source.name];
}

/** What waits for somebody now; lines without anything are left out. */
export function useWaiting(me: Me | null): Waiting[] {
  const mine = SOURCES.filter((source) => has(me, ...source.roles));
  const kinds = mine.flatMap((source) => source.kinds);
  useHappened(
    kinds,
    useCallback((event: Happened) => {
      for (const source of SOURCES) {
        if (source.kinds.includes(event.kind)) void queries.invalidateQueries({ queryKey: keyOf(source) });
      }
    }, []),
  );
  const answers = useQueries({
    queries: mine.map((source) => ({
      queryKey: keyOf(source),
      queryFn: () => request<Listed>('GET', source.path, undefined, { query: { ...source.query, limit: LIMIT } }),
      refetchInterval: 60_000,
    })),
  });
  return mine.flatMap((source, index) => {
    const listed = answers[index]?.data;
    const items = (listed?.items ?? []).filter(source.counts ?? (() => true));
    if (items.length === 0 || !me) return [];
    return [{ name: source.name, count: items.length, more: Boolean(listed?.next) && items.length === LIMIT, to: source.to || messagesAt(me), cases: source.name === 'messages' ? casesOf(items) : [] }];
  });
}

/** Who hears of what, as it happens. */
const HEARD: Record<string, { occasion: Occasion; roles: readonly Role[] }> = {
  finding_raised: { occasion: 'critical', roles: [...CLINIC, 'coordinator'] },
  case_returned: { occasion: 'returned', roles: CLINIC },
  final_signed: { occasion: 'report', roles: CLINIC },
  addendum_signed: { occasion: 'report', roles: CLINIC },
  message_written: { occasion: 'message', roles: [...CLINIC, 'reporter', 'verifier', 'coordinator'] },
  case_queued: { occasion: 'case', roles: ['reporter', 'verifier'] },
  case_resubmitted: { occasion: 'case', roles: ['reporter', 'verifier'] },
};

/** How many emergencies wait: more than before means that the new case is one. */
async function emergencies(): Promise<number | null> {
  const asked = { tab: 'ready', priority: 'stat', limit: 1 };
  return request<{ total?: number }>('GET', '/api/v1/queue', undefined, { query: asked }).then(
    (answer) => answer.total ?? null,
    () => null,
  );
}

/** Sounds and notifications for whoever is signed in, by their choices. */
export function useTold(me: Me | null): void {
  const known = useRef<number | null>(null);
  const reads = has(me, 'reporter', 'verifier');
  useEffect(() => {
    if (reads) void emergencies().then((count) => (known.current = count));
  }, [reads]);
  useHappened(
    Object.keys(HEARD),
    useCallback(
      (event: Happened) => {
        const heard = HEARD[event.kind];
        if (!heard || !has(me, ...heard.roles)) return;
        const tell = (occasion: Occasion) => notify(occasion, { title: i18next.t(`common:told.${occasion}`), tag: `medrelay-${occasion}` });
        if (heard.occasion !== 'case') return tell(heard.occasion);
        void emergencies().then((count) => {
          tell(count !== null && count > (known.current ?? 0) ? 'stat' : 'case');
          known.current = count;
        });
      },
      [me],
    ),
  );
}
