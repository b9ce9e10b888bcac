// The lists of the chase list: cases, deliveries, critical findings, studies; each line says who can help.
import type { UseQueryResult } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Button } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { queries } from '@/app/queries';
import { Countdown } from '@/shared/Countdown';
import { Parts } from '@/shared/Parts';
import { PatientName } from '@/shared/PatientName';
import { PriorityTag } from '@/shared/PriorityTag';
import { StageTag } from '@/shared/StageTag';
import { dicomDay, shortMoment } from '@/shared/time';
import { plainWords } from '@/shared/Trouble';
import { findingWord, returnWord } from '@/shared/words';

import { DataTable, type Column } from '../parts/DataTable';
import { usePlaces } from '../parts/places';
import { retry, type Delivery, type Finding, type Line, type Listed, type Study } from './api';

type Answer<T> = Pick<UseQueryResult<Listed<T>>, 'isPending' | 'error' | 'refetch'>;

function listOf<T>(items: T[], answer: Answer<T>) {
  return { items, loading: answer.isPending, error: answer.error, again: () => void answer.refetch() };
}

/** Cases: late, close to their limit, or returned long ago. */
export function LineList({ items, answer, kind }: { items: Line[]; answer: Answer<Line>; kind: 'late' | 'close' | 'returned' }) {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const whom = (line: Line) => {
    if (kind === 'returned') return t('admin:chase.callClinic', { clinic: line.clinic_name });
    if (line.holder_name) return t('admin:chase.callHolder', { name: line.holder_name });
    if (line.assigned_name) return t('admin:chase.callAssigned', { name: line.assigned_name });
    return <Link to="/assign">{t('admin:chase.assign')}</Link>;
  };
  const columns: Column<Line>[] = [
    { key: 'number', title: t('admin:column.case'), main: true, render: (line) => <Link to={`/case/${line.case.id}`}>{line.number}</Link> },
    { key: 'priority', title: t('admin:column.priority'), render: (line) => <PriorityTag priority={line.case.priority} /> },
    { key: 'patient', title: t('admin:column.patient'), render: (line) => <PatientName name={line.patient} /> },
    { key: 'study', title: t('admin:column.study'), render: (line) => <Parts of={[line.case.modality, line.body_part]} /> },
    { key: 'clinic', title: t('admin:column.clinic'), render: (line) => line.clinic_name },
    { key: 'stage', title: t('admin:column.stage'), render: (line) => <StageTag stage={line.case.stage} note={line.returned ? returnWord(line.returned.code) : null} /> },
    kind === 'returned'
      ? { key: 'since', title: t('admin:column.returnedAt'), render: (line) => shortMoment(line.returned?.at ?? line.case.opened_at) }
      : { key: 'left', title: t('admin:column.limit'), render: (line) => <Countdown from={line.case.opened_at} due={line.case.deadline} /> },
    { key: 'whom', title: t('admin:column.call'), render: whom },
  ];
  return <DataTable label={t(`admin:chase.part.${kind}`)} columns={columns} list={listOf(items, answer)} rowKey={(line) => line.case.id} empty={null} />;
}

function Retry({ id }: { id: string }) {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  async function go() {
    setBusy(true);
    setFault(null);
    try {
      await retry(id);
      await queries.invalidateQueries({ queryKey: ['chase'] });
    } catch (error) {
      setFault(plainWords(error));
    } finally {
      setBusy(false);
    }
  }
  return (
    <>
      <Button size="small" loading={busy} onClick={() => void go()}>
        {t('admin:delivery.retry')}
      </Button>
      {fault && <div role="alert">{fault}</div>}
    </>
  );
}

/** Deliveries: given up after many attempts, or lying unread in the clinic's inbox. */
export function DeliveryList({ items, answer, retrying }: { items: Delivery[]; answer: Answer<Delivery>; retrying: boolean }) {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const { nameOf } = usePlaces();
  const columns: Column<Delivery>[] = [
    { key: 'number', title: t('admin:column.case'), main: true, render: (delivery) => <Link to={`/case/${delivery.case}`}>{delivery.case_number}</Link> },
    { key: 'clinic', title: t('admin:column.clinic'), render: (delivery) => nameOf(delivery.clinic) },
    { key: 'to', title: t('admin:column.destination'), render: (delivery) => `${delivery.destination_name} (${t(`admin:route.${delivery.route}`)})` },
    { key: 'since', title: retrying ? t('admin:column.stuckSince') : t('admin:column.waitsSince'), render: (delivery) => shortMoment(delivery.updated_at) },
    ...(retrying
      ? [
          { key: 'error', title: t('admin:column.error'), render: (delivery: Delivery) => delivery.last_error ?? '–' },
          { key: 'attempts', title: t('admin:column.attempts'), render: (delivery: Delivery) => String(delivery.attempts) },
          { key: 'do', title: '', render: (delivery: Delivery) => <Retry id={delivery.id} /> },
        ]
      : []),
    { key: 'whom', title: t('admin:column.call'), render: (delivery) => (retrying ? t('admin:chase.callPacs', { clinic: nameOf(delivery.clinic) }) : t('admin:chase.callDoctor', { clinic: nameOf(delivery.clinic) })) },
  ];
  return <DataTable label={t(`admin:chase.part.${retrying ? 'parked' : 'unread'}`)} columns={columns} list={listOf(items, answer)} rowKey={(delivery) => delivery.id} empty={null} />;
}

/** Critical findings that nobody at the clinic has read back. */
export function FindingList({ items, answer }: { items: Finding[]; answer: Answer<Finding> }) {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const columns: Column<Finding>[] = [
    { key: 'number', title: t('admin:column.case'), main: true, render: (finding) => <Link to={`/case/${finding.case}`}>{finding.case_number}</Link> },
    { key: 'what', title: t('admin:column.finding'), render: (finding) => findingWord(finding.code) },
    { key: 'clinic', title: t('admin:column.clinic'), render: (finding) => finding.clinic_name },
    { key: 'by', title: t('admin:column.raisedBy'), render: (finding) => `${finding.raised_by_name} ${shortMoment(finding.raised_at)}` },
    { key: 'left', title: t('admin:column.limit'), render: (finding) => <Countdown from={finding.raised_at} due={finding.due_at} /> },
    { key: 'whom', title: t('admin:column.call'), render: (finding) => t('admin:chase.callNow', { clinic: finding.clinic_name }) },
  ];
  return <DataTable label={t('admin:chase.part.critical')} columns={columns} list={listOf(items, answer)} rowKey={(finding) => finding.id} empty={null} />;
}

/** Studies that could not become a case. */
export function StudyList({ items, answer }: { items: Study[]; answer: Answer<Study> }) {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const { nameOf } = usePlaces();
  const columns: Column<Study>[] = [
    { key: 'patient', title: t('admin:column.patient'), main: true, render: (study) => <PatientName name={study.patient_name} /> },
    { key: 'study', title: t('admin:column.study'), render: (study) => <Parts of={[study.modality, study.body_part, dicomDay(study.study_date)]} /> },
    { key: 'clinic', title: t('admin:column.clinic'), render: (study) => nameOf(study.clinic) },
    { key: 'why', title: t('admin:column.reason'), render: (study) => t(`admin:trouble.${study.trouble ?? 'none'}`) },
    { key: 'do', title: '', render: (study) => <Link to={`/unmatched/${study.id}`}>{t('admin:unmatched.open')}</Link> },
  ];
  return <DataTable label={t('admin:chase.part.unmatched')} columns={columns} list={listOf(items, answer)} rowKey={(study) => study.id} empty={null} />;
}
