// The chase list: everything that is late or stuck, the worst first, with whom to call about it.
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Alert } from 'antd';
import { useCallback } from 'react';
import { useTranslation } from 'react-i18next';

import { useHappened } from '@/app/live';
import { PageTitle } from '@/app/PageTitle';
import { queries } from '@/app/queries';
import { request } from '@/api/request';
import { now } from '@/shared/time';
import { useTicking } from '@/shared/ticking';

import { Section } from '../parts/Section';
import { queue, type Delivery, type Finding, type Line, type Listed, type Study } from './api';
import { DeliveryList, FindingList, LineList, StudyList } from './lists';

const KEY = ['chase'];
const MINUTE = 60_000_000;
/** A case is close to its limit when this much of its time is left, or this share of it. */
const CLOSE = 30 * MINUTE;
/** A report that nobody at the clinic has acknowledged for so long is chased; so is a returned case. */
const UNREAD_AFTER = 2 * 60 * MINUTE;
const RETURNED_AFTER = 2 * 60 * MINUTE;
const DONE = new Set(['final', 'delivered', 'closed', 'returned']);

function list<T>(path: string, asked: Record<string, string | number | boolean>): Promise<Listed<T>> {
  return request('GET', path, undefined, { query: { limit: 200, ...asked } });
}

function useList<T>(name: string, ask: () => Promise<Listed<T>>) {
  return useQuery({ queryKey: [...KEY, name], queryFn: ask, refetchInterval: 60_000 });
}

function isClose(line: Line, at: number): boolean {
  const left = line.case.deadline - at;
  return left > 0 && (left < CLOSE || left < (line.case.deadline - line.case.opened_at) / 5);
}

export function Chase() {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  useHappened(
    [],
    useCallback(() => void queries.invalidateQueries({ queryKey: KEY }, { cancelRefetch: false }), []),
  );
  // The minute decides who is late: a list that nobody asks again still moves on.
  const minute = Number(useTicking(() => String(Math.floor(now() / MINUTE))));
  const at = minute * MINUTE;
  const all = useList<Line>('queue', () => queue({ tab: 'all', limit: 1000 }));
  const returned = useList<Line>('returned', () => queue({ tab: 'returned', limit: 200 }));
  const findings = useList<Finding>('findings', () => list('/api/v1/findings', { stage: 'notifying' }));
  const parked = useList<Delivery>('parked', () => list('/api/v1/deliveries', { stage: 'parked' }));
  const inbox = useList<Delivery>('inbox', () => list('/api/v1/deliveries', { stage: 'in_inbox' }));
  const studies = useList<Study>('studies', () => list('/api/v1/studies', { trouble: true }));

  const open = (all.data?.items ?? []).filter((line) => !DONE.has(line.case.stage));
  const late = open.filter((line) => line.case.deadline <= at).sort((a, b) => a.case.deadline - b.case.deadline);
  const close = open.filter((line) => isClose(line, at)).sort((a, b) => a.case.deadline - b.case.deadline);
  const unread = (inbox.data?.items ?? []).filter((delivery) => at - delivery.updated_at > UNREAD_AFTER).sort((a, b) => a.updated_at - b.updated_at);
  const back = (returned.data?.items ?? []).filter((line) => at - (line.returned?.at ?? line.case.opened_at) > RETURNED_AFTER);
  const urgent = [...(findings.data?.items ?? [])].sort((a, b) => a.due_at - b.due_at);

  const parts = [
    { name: 'critical', answer: findings, count: urgent.length, body: <FindingList items={urgent} answer={findings} /> },
    { name: 'late', answer: all, count: late.length, body: <LineList items={late} answer={all} kind="late" /> },
    { name: 'close', answer: all, count: close.length, body: <LineList items={close} answer={all} kind="close" /> },
    { name: 'parked', answer: parked, count: parked.data?.items.length ?? 0, body: <DeliveryList items={parked.data?.items ?? []} answer={parked} retrying /> },
    { name: 'unread', answer: inbox, count: unread.length, body: <DeliveryList items={unread} answer={inbox} retrying={false} /> },
    { name: 'returned', answer: returned, count: back.length, body: <LineList items={back} answer={returned} kind="returned" /> },
    { name: 'unmatched', answer: studies, count: studies.data?.items.length ?? 0, body: <StudyList items={studies.data?.items ?? []} answer={studies} /> },
  ];
  const known = parts.every((part) => !part.answer.isPending && !part.answer.isError);
  const quiet = known && parts.every((part) => part.count === 0);
  return (
    <div className="page">
      <PageTitle title={t('admin:chase.title')} lead={t('admin:chase.lead')} actions={<Link to="/assign">{t('admin:assign.title')}</Link>} />
      <nav aria-label={t('admin:chase.jump')} className="jump">
        {parts.map((part) => (
          <a
            key={part.name}
            href={`#${part.name}`}
            className={part.count > 0 ? 'jump-some' : ''}
            onClick={(event) => {
              event.preventDefault();
              document.getElementById(part.name)?.scrollIntoView({ block: 'start' });
            }}
          >
            <b>{part.answer.isPending ? '…' : part.answer.isError ? '?' : part.count}</b> {t(`admin:chase.part.${part.name}`)}
          </a>
        ))}
      </nav>
      {quiet && <Alert type="success" showIcon title={t('admin:chase.quiet')} style={{ marginBottom: 16 }} />}
      <div style={{ display: 'grid', gap: 16 }}>
        {parts
          .filter((part) => part.count > 0 || part.answer.isError)
          .map((part) => (
            <Section key={part.name} id={part.name} title={t(`admin:chase.part.${part.name}`)} count={part.count}>
              {part.body}
            </Section>
          ))}
      </div>
    </div>
  );
}
