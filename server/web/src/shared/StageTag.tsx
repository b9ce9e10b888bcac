// Where a case stands: one colour, one icon and one word each, never the colour alone.
import { BellFilled, BellOutlined } from '@ant-design/icons';
import { useTranslation } from 'react-i18next';

import { Mark, type MarkName } from './marks';

import './shared.css';

/** Every state that a case can be shown in. */
export type Shown =
  | 'receiving'
  | 'incomplete'
  | 'submitted'
  | 'ready'
  | 'in_progress'
  | 'draft'
  | 'preliminary'
  | 'verifying'
  | 'returned'
  | 'final'
  | 'delivered'
  | 'closed'
  | 'amended';

const MARKS: Record<Shown, MarkName | null> = {
  // The ring beside it says how far it is.
  receiving: null,
  incomplete: 'warning',
  submitted: 'box',
  ready: 'circle',
  in_progress: 'pen',
  draft: 'dashed',
  preliminary: 'halfTicks',
  verifying: 'shield',
  returned: 'back',
  final: 'ticks',
  delivered: 'ticks',
  closed: 'ticks',
  amended: 'plus',
};

interface Props {
  /** The stage as the relay says it, or one of the others of [`Shown`]. */
  stage: string;
  /** Who has it, or why it was returned: stands behind the word. */
  note?: string | null;
}

export function StageTag({ stage, note }: Props) {
  const { t } = useTranslation('shared');
  const known = stage in MARKS ? (stage as Shown) : 'submitted';
  const mark = MARKS[known];
  const word = t(`shared:stage.${known}`);
  return (
    <span className={`tag stage-${known}`} title={note ? `${word} · ${note}` : undefined}>
      {mark && <Mark name={mark} />} {word}
      {note ? <span className="tag-note"> {note}</span> : null}
    </span>
  );
}

/** A critical finding of the case: open until somebody at the clinic has read it back. */
export function CriticalTag({ critical }: { critical: string }) {
  const { t } = useTranslation('shared');
  if (critical !== 'notifying' && critical !== 'acknowledged' && critical !== 'settled') return null;
  const Bell = critical === 'notifying' ? BellFilled : BellOutlined;
  return (
    <span className={`tag critical-${critical}`}>
      <Bell aria-hidden /> {t(`shared:critical.${critical}`)}
    </span>
  );
}

/** A ring that fills while a study arrives, with the numbers beside it; without an announced number it only counts. */
export function ArrivingRing({ arrived, expected }: { arrived: number; expected: number | null }) {
  const { t } = useTranslation('shared');
  const part = expected && expected > 0 ? Math.min(1, arrived / expected) : 0;
  const round = 2 * Math.PI * 6;
  const words = expected === null ? t('shared:arriving.some', { arrived }) : t('shared:arriving.of', { arrived, expected });
  return (
    <span className="ring" title={words}>
      <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden>
        <circle cx="8" cy="8" r="6" className="ring-all" />
        <circle cx="8" cy="8" r="6" className="ring-part" strokeDasharray={`${round * part} ${round}`} transform="rotate(-90 8 8)" />
      </svg>
      <span aria-label={words}>{expected === null ? arrived : `${arrived}/${expected}`}</span>
    </span>
  );
}
