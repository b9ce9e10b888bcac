// The columns of the queue: what each shows and how wide it is. Which of them are shown, and in which order, is everybody's choice.
import type { TFunction } from 'i18next';
import type { ReactNode } from 'react';

import { Countdown } from '@/shared/Countdown';
import { memoByInput } from '@/shared/memo';
import { PatientName, SexAge } from '@/shared/PatientName';
import { PriorityTag } from '@/shared/PriorityTag';
import { ArrivingRing, CriticalTag, StageTag } from '@/shared/StageTag';
import { dicomClock, dicomDay } from '@/shared/time';
import { returnWord } from '@/shared/words';

import type { QueueLine } from '../api';

export type ColumnId =
  | 'priority'
  | 'due'
  | 'stage'
  | 'name'
  | 'sexAge'
  | 'accession'
  | 'clinic'
  | 'modality'
  | 'exam'
  | 'examTime'
  | 'images'
  | 'complete'
  | 'priors'
  | 'reader'
  | 'reviewer'
  | 'critical'
  | 'note'
  | 'number';

type Texts = TFunction<'reader'>;

interface Column {
  id: ColumnId;
  /** Pixels; the last ones grow. */
  width: number;
  show: (line: QueueLine, t: Texts) => ReactNode;
}

const DONE = new Set(['final', 'delivered', 'closed', 'returned']);

/** What stands behind the word of a stage: who has it, or why it came back. */
export function noteOf(line: QueueLine): string | null {
  if (line.case.stage === 'returned' && line.returned) return returnWord(line.returned.code);
  return line.case.hold ? (line.holder_name ?? null) : null;
}

function isWhole(line: QueueLine): boolean {
  return line.complete ?? (line.expected === null || line.expected === undefined || line.instances >= line.expected);
}

export const COLUMNS: readonly Column[] = [
  { id: 'priority', width: 80, show: (line) => <PriorityTag priority={line.case.priority} /> },
  { id: 'due', width: 136, show: (line) => <Countdown from={line.case.opened_at} due={line.case.deadline} stopped={DONE.has(line.case.stage)} /> },
  { id: 'stage', width: 138, show: (line) => <StageTag stage={line.case.stage} note={noteOf(line)} /> },
  { id: 'name', width: 140, show: (line) => <PatientName name={line.patient} /> },
  { id: 'sexAge', width: 84, show: (line) => <SexAge sex={line.patient_sex} birth={line.patient_birth_date} on={line.study_date ?? null} /> },
  { id: 'accession', width: 116, show: (line) => line.accession ?? '' },
  { id: 'clinic', width: 130, show: (line) => line.clinic_name },
  { id: 'modality', width: 52, show: (line) => line.case.modality },
  { id: 'exam', width: 150, show: (line) => line.description || line.body_part || '' },
  { id: 'examTime', width: 128, show: (line) => `${dicomDay(line.study_date)} ${dicomClock(line.study_time)}` },
  {
    id: 'images',
    width: 112,
    show: (line) =>
      isWhole(line) ? (line.series === undefined ? String(line.instances) : `${line.series}/${line.instances}`) : <ArrivingRing arrived={line.instances} expected={line.expected ?? null} />,
  },
  {
    id: 'complete',
    width: 100,
    show: (line, t) =>
      line.case.late_images ? (
        <span className="countdown-half">
          <b aria-hidden>!</b> {t('reader:queue.late')}
        </span>
      ) : isWhole(line) ? (
        <span>
          <span aria-hidden>✓</span> {t('reader:queue.whole')}
        </span>
      ) : (
        <span className="countdown-half">
          <b aria-hidden>!</b> {t('reader:queue.partly')}
        </span>
      ),
  },
  { id: 'priors', width: 56, show: (line) => (line.priors ? String(line.priors) : '–') },
  {
    id: 'reader',
    width: 92,
    show: (line, t) => line.preliminary_by_name ?? (line.case.stage === 'in_progress' ? line.holder_name : null) ?? (line.assigned_name ? t('reader:queue.assigned', { name: line.assigned_name }) : ''),
  },
  { id: 'reviewer', width: 84, show: (line) => (line.case.stage === 'verifying' ? (line.holder_name ?? '') : '') },
  { id: 'critical', width: 138, show: (line) => <CriticalTag critical={line.critical ?? 'none'} /> },
  {
    id: 'note',
    width: 150,
    show: (line, t) => (
      <span>
        {line.discussion ? (
          <>
            {t('reader:queue.said', { count: line.discussion })}{' '}
          </>
        ) : null}
        {line.question ?? ''}
      </span>
    ),
  },
  { id: 'number', width: 140, show: (line) => line.number },
];

const BY_ID = new Map(COLUMNS.map((column) => [column.id, column]));
const STANDARD: readonly ColumnId[] = ['priority', 'due', 'stage', 'name', 'sexAge', 'clinic', 'modality', 'exam', 'examTime', 'images', 'complete', 'priors', 'reader', 'reviewer', 'critical', 'accession', 'note'];

/** The columns that are shown, by what is kept; what is unknown or twice is left out. */
export const readColumns = memoByInput((value: unknown): Column[] => {
  const wanted = Array.isArray(value) && value.length > 0 ? value : STANDARD;
  const known = [...new Set(wanted)].flatMap((id) => BY_ID.get(id as ColumnId) ?? []);
  return known.length > 0 ? known : STANDARD.flatMap((id) => BY_ID.get(id) ?? []);
});

/** How the columns share the width, and the least that they take together. */
export function layoutOf(columns: readonly Column[], action: number): { template: string; width: number } {
  const grows = new Set<ColumnId>(['name', 'clinic', 'exam', 'note']);
  const parts = columns.map((column) => (grows.has(column.id) ? `minmax(${column.width}px, 1fr)` : `${column.width}px`));
  return { template: `${parts.join(' ')} ${action}px`, width: columns.reduce((sum, column) => sum + column.width, action) };
}
