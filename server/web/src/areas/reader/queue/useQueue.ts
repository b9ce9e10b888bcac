// The queue on the page: its rows, and what live events do to them. What is heard of new cases is the frame's.
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';

import { useArrivals, useHappened, type Happened } from '@/app/live';
import { useMe } from '@/app/session';

import type { Filter } from '../api';
import { Rows, type Shown } from './rows';

/** Whatever may bring a case into a part of the queue, change it there or take it out. */
const KINDS = [
  'case_queued',
  'case_claimed',
  'case_released',
  'claim_expired',
  'case_taken_over',
  'case_assigned',
  'case_returned',
  'case_resubmitted',
  'preliminary_signed',
  'final_signed',
  'case_delivered',
  'case_closed',
  'late_image',
  'finding_raised',
  'finding_acknowledged',
  'finding_settled',
  'study_matched',
  'order_changed',
  'study_arriving',
  'study_complete',
];
const GATHER = 400;

export interface Queue {
  rows: Rows;
  shown: Shown;
  /** Begins anew, with everything in its order of now. */
  refresh: () => void;
}

/** The queue by a filter. */
export function useQueue(filter: Filter): Queue {
  const me = useMe()?.id ?? '';
  const [round, setRound] = useState(0);
  // A new round is a new list: nothing of the old one is kept.
  const { rows } = useMemo(() => ({ round, rows: new Rows(filter, me) }), [filter, me, round]);
  const shown = useSyncExternalStore(rows.follow, rows.now);
  const refresh = useCallback(() => setRound((before) => before + 1), []);
  const waiting = useRef(new Set<string>());
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const busy = useRef(false);

  useEffect(() => {
    rows.start();
    return () => rows.stop();
  }, [rows]);

  const gather = useCallback(async () => {
    if (busy.current) return;
    busy.current = true;
    const ids = new Set(waiting.current);
    waiting.current.clear();
    try {
      const found = await rows.changed(ids);
      // Nobody can lose their place in an empty list, or in one that nobody looks at.
      if (found.length > 0 && (rows.now().total === 0 || document.hidden)) refresh();
    } catch {
      // The line is cut: the stream says so, and brings the rest when it is back.
    } finally {
      busy.current = false;
      if (waiting.current.size > 0) timer.current = setTimeout(() => void gather(), GATHER);
    }
  }, [rows, refresh]);

  const happened = useCallback(
    (event: Happened) => {
      waiting.current.add(event.object.replace(/^case:/, ''));
      clearTimeout(timer.current);
      timer.current = setTimeout(() => void gather(), GATHER);
    },
    [gather],
  );
  useHappened(KINDS, happened);
  useArrivals(useCallback((progress) => rows.arrived(progress.study, progress.instances, progress.expected), [rows]));
  useEffect(() => () => clearTimeout(timer.current), []);
  return { rows, shown, refresh };
}
