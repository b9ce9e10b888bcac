// The scroll bar of a stack: where one is, and which images are there already.
import { useEffect, useRef, type KeyboardEvent, type PointerEvent } from 'react';
import { useTranslation } from 'react-i18next';

import type { Engine } from '../engine/engine';
import type { Pane } from '../engine/pane';
import { useSignal } from '../engine/signal';

const COLOURS = { none: '#20262d', loading: '#5c6b3a', there: '#2f7d81', failed: '#b3423a' } as const;

export function ScrollBar({ engine, pane }: { engine: Engine; pane: Pane }) {
  const { t } = useTranslation('viewer');
  const { stack, index } = useSignal(pane.view);
  const progress = useSignal(engine.progress).get(stack?.id ?? '');
  const canvas = useRef<HTMLCanvasElement>(null);
  const count = stack?.frames.length ?? 0;

  useEffect(() => {
    const surface = canvas.current;
    const states = progress?.states;
    if (!surface || !states || states.length === 0) return;
    const height = Math.max(1, surface.clientHeight);
    surface.width = 1;
    surface.height = height;
    const context = surface.getContext('2d');
    if (!context) return;
    for (let y = 0; y < height; y += 1) {
      context.fillStyle = COLOURS[states[Math.min(states.length - 1, Math.floor((y * states.length) / height))] ?? 'none'];
      context.fillRect(0, y, 1, 1);
    }
  }, [progress, count]);

  if (count < 2) return null;
  const goTo = (event: PointerEvent<HTMLDivElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    pane.goTo(Math.round(((event.clientY - box.top) / box.height) * (count - 1)), 'hand');
  };
  const pressed = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -count, End: count }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    pane.goTo(index + by, 'hand');
  };
  return (
    <div
      className="mrv-scroll"
      role="slider"
      tabIndex={0}
      aria-orientation="vertical"
      aria-label={t('viewer:scroll.name')}
      aria-valuemin={1}
      aria-valuemax={count}
      aria-valuenow={index + 1}
      aria-valuetext={t('viewer:scroll.value', { index: index + 1, count, there: progress?.there ?? 0 })}
      title={progress?.limited ? t('viewer:scroll.limited') : t('viewer:scroll.there', { there: progress?.there ?? 0, count })}
      onKeyDown={pressed}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        goTo(event);
      }}
      onPointerMove={(event) => {
        if (event.currentTarget.hasPointerCapture(event.pointerId)) goTo(event);
      }}
    >
      <canvas ref={canvas} />
      <span className="mrv-thumb" style={{ top: `${(index / (count - 1)) * 100}%` }} />
    </div>
  );
}
