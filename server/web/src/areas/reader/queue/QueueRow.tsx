// One line of the queue, as a row of the table and as a card on narrow screens.
import { memo, type KeyboardEvent, type MouseEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { Countdown } from '@/shared/Countdown';
import { Parts } from '@/shared/Parts';
import { PatientName, SexAge } from '@/shared/PatientName';
import { PriorityTag } from '@/shared/PriorityTag';
import { ArrivingRing, CriticalTag, StageTag } from '@/shared/StageTag';

import type { QueueLine } from '../api';
import { noteOf, type readColumns } from './columns';

/** What can be done with a line by whoever is signed in. */
export interface RowActions {
  me: string;
  reads: boolean;
  takesOver: boolean;
  /** May sign final reports. */
  verifies: boolean;
  busy: string | null;
  onChoose: (place: number) => void;
  onOpen: (line: QueueLine) => void;
  onClaim: (line: QueueLine) => void;
  onTakeOver: (line: QueueLine) => void;
}

interface Props {
  line: QueueLine | undefined;
  place: number;
  top: number;
  height: number;
  chosen: boolean;
  left: boolean;
  columns: ReturnType<typeof readColumns>;
  template: string;
  narrow: boolean;
  actions: RowActions;
}

type Offer = 'claim' | 'goOn' | 'takeOver' | 'held' | null;

/** What the button of a line does: claims what is free, goes on with one's own, takes over where that is allowed. */
export function offerOf(line: QueueLine, actions: Pick<RowActions, 'me' | 'reads' | 'takesOver' | 'verifies'>): Offer {
  const { stage, hold } = line.case;
  if (hold) {
    if (hold.holder === actions.me) return 'goOn';
    return actions.takesOver ? 'takeOver' : 'held';
  }
  if (!actions.reads || (stage !== 'ready' && stage !== 'preliminary')) return null;
  // What one person signs alone, and what waits to be verified, is for verifiers; nobody verifies a report of their own.
  if (!actions.verifies && (stage === 'preliminary' || line.case.policy !== 'double')) return null;
  if (stage === 'preliminary' && line.case.preliminary_by === actions.me) return null;
  return 'claim';
}

function Action({ line, actions }: { line: QueueLine; actions: RowActions }) {
  const { t } = useTranslation('reader');
  const offer = offerOf(line, actions);
  if (offer === null || offer === 'held') return null;
  const run = (event: MouseEvent) => {
    event.stopPropagation();
    if (offer === 'claim') actions.onClaim(line);
    else if (offer === 'goOn') actions.onOpen(line);
    else actions.onTakeOver(line);
  };
  const verify = offer === 'claim' && line.case.stage === 'preliminary';
  const word = verify ? 'verify' : offer;
  return (
    <button type="button" className={`row-button row-${offer}`} tabIndex={-1} disabled={actions.busy === line.case.id} onClick={run}>
      {t(`reader:act.${word}`)}
      <span className="visually-hidden"> {line.number}</span>
    </button>
  );
}

export const QueueRow = memo(function QueueRow({ line, place, top, height, chosen, left, columns, template, narrow, actions }: Props) {
  const { t } = useTranslation('reader');
  const style = { transform: `translateY(${top}px)`, height, gridTemplateColumns: narrow ? undefined : template };
  const names = ['queue-row', chosen ? 'chosen' : '', left ? 'left' : '', narrow ? 'card' : ''].join(' ');
  if (!line) {
    return (
      <div role="row" aria-rowindex={place + 2} aria-selected={chosen} data-place={place} tabIndex={chosen ? 0 : -1} className={names} style={style} onFocus={() => actions.onChoose(place)}>
        <span role="gridcell" className="queue-cell quiet">
          …
        </span>
      </div>
    );
  }
  const pressed = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget) return;
    if (event.key === 'Enter') actions.onOpen(line);
    else if (event.key === ' ' && offerOf(line, actions) === 'claim') actions.onClaim(line);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const common = {
    role: 'row',
    'aria-rowindex': place + 2,
    'aria-selected': chosen,
    'data-place': place,
    tabIndex: chosen ? 0 : -1,
    className: names,
    style,
    onKeyDown: pressed,
    onFocus: () => actions.onChoose(place),
    onClick: () => actions.onOpen(line),
  };
  if (narrow) {
    return (
      <div {...common}>
        <div role="gridcell" className="queue-card">
          <div>
            <PriorityTag priority={line.case.priority} /> <strong><PatientName name={line.patient} /></strong> <SexAge sex={line.patient_sex} birth={line.patient_birth_date} on={line.study_date ?? null} />
          </div>
          <div>
            <Parts of={[line.case.modality, line.description || line.body_part, line.clinic_name]} />
          </div>
          <div className="queue-card-end">
            <StageTag stage={line.case.stage} note={noteOf(line)} /> <Countdown from={line.case.opened_at} due={line.case.deadline} /> <CriticalTag critical={line.critical ?? 'none'} />
            {line.complete === false && <ArrivingRing arrived={line.instances} expected={line.expected ?? null} />}
            <span className="queue-space" />
            <Action line={line} actions={actions} />
          </div>
        </div>
      </div>
    );
  }
  return (
    <div {...common}>
      {columns.map((column, index) => (
        <div key={column.id} role="gridcell" aria-colindex={index + 1} className="queue-cell">
          {column.show(line, t)}
        </div>
      ))}
      <div role="gridcell" aria-colindex={columns.length + 1} className="queue-cell queue-act">
        <Action line={line} actions={actions} />
      </div>
    </div>
  );
});
