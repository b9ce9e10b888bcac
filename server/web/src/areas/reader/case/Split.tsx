// Two panes side by side with a bar between them that is moved by mouse, touch or arrow keys; its place is remembered.
import { useRef, type KeyboardEvent, type PointerEvent, type ReactNode } from 'react';

import { usePreference } from '@/shared/preferences';

const LEAST = 20;
const MOST = 80;
const STEP = 2;

interface Props {
  name: string;
  label: string;
  /** Share of the first pane in hundredths, unless chosen otherwise. */
  standard: number;
  first: ReactNode;
  second: ReactNode;
}

const held = (share: number) => Math.min(MOST, Math.max(LEAST, share));

export function Split({ name, label, standard, first, second }: Props) {
  const [share, setShare] = usePreference(`split.${name}`, (value) => (typeof value === 'number' && Number.isFinite(value) ? held(value) : standard));
  const box = useRef<HTMLDivElement>(null);

  // While the bar is dragged only the style moves; what was chosen is kept at the end.
  function dragged(event: PointerEvent<HTMLDivElement>) {
    if (!box.current || !event.currentTarget.hasPointerCapture(event.pointerId)) return;
    const { left, width } = box.current.getBoundingClientRect();
    box.current.style.setProperty('--share', `${held(((event.clientX - left) / width) * 100)}%`);
  }

  function dropped(event: PointerEvent<HTMLDivElement>) {
    if (!box.current || !event.currentTarget.hasPointerCapture(event.pointerId)) return;
    event.currentTarget.releasePointerCapture(event.pointerId);
    const { left, width } = box.current.getBoundingClientRect();
    setShare(Math.round(held(((event.clientX - left) / width) * 100)));
  }

  function pressed(event: KeyboardEvent) {
    const steps: Record<string, number> = { ArrowLeft: share - STEP, ArrowRight: share + STEP, Home: LEAST, End: MOST };
    const next = steps[event.key];
    if (next === undefined) return;
    event.preventDefault();
    setShare(held(next));
  }

  return (
    <div ref={box} className="split" style={{ ['--share' as string]: `${share}%` }}>
      <div className="split-first">{first}</div>
      <div
        role="separator"
        aria-orientation="vertical"
        aria-label={label}
        aria-valuenow={share}
        aria-valuemin={LEAST}
        aria-valuemax={MOST}
        tabIndex={0}
        className="split-bar"
        onKeyDown={pressed}
        onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
        onPointerMove={dragged}
        onPointerUp={dropped}
      />
      <div className="split-second">{second}</div>
    </div>
  );
}
