// Where a case stands: one colour, one icon and one word each, never the colour alone.
import {
  BellFilled,
  BellOutlined,
  CheckCircleFilled,
  CheckCircleOutlined,
  CheckOutlined,
  EditOutlined,
  FileAddOutlined,
  FormOutlined,
  InboxOutlined,
  LoadingOutlined,
  RollbackOutlined,
  SafetyOutlined,
  WarningOutlined,
} from '@ant-design/icons';
import type { ComponentType } from 'react';
import { useTranslation } from 'react-i18next';

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

type Icon = ComponentType<{ 'aria-hidden'?: boolean }>;

function Circle() {
  return (
    <svg width="12" height="12" viewBox="0 0 12 12" aria-hidden>
      <circle cx="6" cy="6" r="4.75" fill="none" stroke="currentColor" strokeWidth="1.5" />
    </svg>
  );
}

const ICONS: Record<Shown, Icon> = {
  receiving: LoadingOutlined,
  incomplete: WarningOutlined,
  submitted: InboxOutlined,
  ready: Circle,
  in_progress: EditOutlined,
  draft: FormOutlined,
  preliminary: CheckOutlined,
  verifying: SafetyOutlined,
  returned: RollbackOutlined,
  final: CheckCircleOutlined,
  delivered: CheckCircleFilled,
  closed: CheckCircleFilled,
  amended: FileAddOutlined,
};

interface Props {
  /** The stage as the relay says it, or one of the others of [`Shown`]. */
  stage: string;
  /** Who has it, or why it was returned: stands behind the word. */
  note?: string | null;
}

export function StageTag({ stage, note }: Props) {
  const { t } = useTranslation('shared');
  const known = stage in ICONS ? (stage as Shown) : 'submitted';
  const Icon = ICONS[known];
  const word = t(`shared:stage.${known}`);
  return (
    <span className={`tag stage-${known}`} title={note ? `${word} · ${note}` : undefined}>
      {known === 'receiving' ? null : <Icon aria-hidden />} {word}
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
