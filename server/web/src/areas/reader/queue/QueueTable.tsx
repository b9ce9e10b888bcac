// The table of the queue: only the lines in sight are drawn, whatever their number; the arrow keys move from line to line.
import { defaultRangeExtractor, useVirtualizer, type Range } from '@tanstack/react-virtual';
import { useCallback, useEffect, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import { useTranslation } from 'react-i18next';

import type { QueueLine } from '../api';
import { layoutOf, type readColumns } from './columns';
import { QueueRow, type RowActions } from './QueueRow';
import type { Rows, Shown } from './rows';

import './queue.css';

const HEIGHT = 38;
const CARD = 104;
const ACTION = 92;
/** Lines drawn beyond those in sight, on either side. */
const BEYOND = 10;

interface Props {
  rows: Rows;
  shown: Shown;
  columns: ReturnType<typeof readColumns>;
  narrow: boolean;
  actions: Omit<RowActions, 'onChoose'>;
  /** The line under the cursor; for fetching its images ahead. */
  onChosen?: (line: QueueLine | undefined) => void;
}

export function QueueTable({ rows, shown, columns, narrow, actions, onChosen }: Props) {
  const { t } = useTranslation('reader');
  const box = useRef<HTMLDivElement>(null);
  const [chosen, setChosen] = useState(0);
  const height = narrow ? CARD : HEIGHT;
  const { template, width } = layoutOf(columns, ACTION);
  // The chosen line is always drawn, or the focus would be lost when it goes out of sight, and the keys with it.
  const rangeExtractor = useCallback(
    (range: Range) => {
      const drawn = defaultRangeExtractor(range);
      return chosen >= range.count || drawn.includes(chosen) ? drawn : [...drawn, chosen].sort((a, b) => a - b);
    },
    [chosen],
  );
  const virtual = useVirtualizer({ count: shown.total, getScrollElement: () => box.current, estimateSize: () => height, overscan: BEYOND, rangeExtractor });
  const items = virtual.getVirtualItems();
  const first = Math.max(0, (virtual.range?.startIndex ?? 0) - BEYOND);
  const last = Math.max(0, Math.min(shown.total - 1, (virtual.range?.endIndex ?? 0) + BEYOND));

  useEffect(() => virtual.measure(), [height, virtual]);

  // While somebody scrolls through thousands of lines nothing is fetched; where they stop, it is.
  useEffect(() => {
    const timer = setTimeout(() => rows.need(first, last), 60);
    return () => clearTimeout(timer);
  }, [rows, first, last]);

  const all = useMemo<RowActions>(() => ({ ...actions, onChoose: setChosen }), [actions]);

  useEffect(() => onChosen?.(rows.at(chosen)), [onChosen, rows, chosen]);

  const move = useCallback(
    (place: number) => {
      const next = Math.max(0, Math.min(shown.total - 1, place));
      setChosen(next);
      virtual.scrollToIndex(next, { align: 'auto' });
      requestAnimationFrame(() => box.current?.querySelector<HTMLElement>(`[data-place="${next}"]`)?.focus({ preventScroll: true }));
    },
    [shown.total, virtual],
  );

  const pressed = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor((box.current?.clientHeight ?? 400) / height) - 1);
    const steps: Record<string, number> = { ArrowDown: chosen + 1, ArrowUp: chosen - 1, PageDown: chosen + page, PageUp: chosen - page, Home: 0, End: shown.total - 1 };
    const place = steps[event.key];
    if (place === undefined) return;
    event.preventDefault();
    move(place);
  };

  return (
    <div
      ref={box}
      className="queue-box"
      role="grid"
      aria-label={t('reader:queue.title')}
      aria-rowcount={shown.total + 1}
      aria-colcount={columns.length + 1}
      aria-busy={!shown.ready}
      tabIndex={shown.total === 0 ? 0 : -1}
      onKeyDown={pressed}
    >
      <div style={{ minWidth: narrow ? 0 : width }} role="presentation">
        <div role="row" aria-rowindex={1} className={narrow ? 'visually-hidden' : 'queue-head'} style={{ gridTemplateColumns: template }}>
          {columns.map((column, index) => (
            <span key={column.id} role="columnheader" aria-colindex={index + 1} className="queue-cell">
              {t(`reader:column.${column.id}`)}
            </span>
          ))}
          <span role="columnheader" aria-colindex={columns.length + 1} className="queue-cell queue-act">
            {t('reader:column.action')}
          </span>
        </div>
        <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
          {items.map((item) => {
            const line = rows.at(item.index);
            return (
              <QueueRow
                key={item.index}
                line={line}
                place={item.index}
                top={item.start}
                height={height}
                chosen={item.index === chosen}
                left={line !== undefined && rows.hasLeft(line.case.id)}
                columns={columns}
                template={template}
                narrow={narrow}
                actions={all}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}
