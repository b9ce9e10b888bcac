// Crosshairs over a pane: lines of the other planes, and a grip where they meet.
import { useRef, type PointerEvent } from 'react';
import { useTranslation } from 'react-i18next';

import type { Engine } from '../engine/engine';
import type { Pane } from '../engine/pane';
import { usePart } from '../engine/signal';

const COLOURS = ['#4fc3f7', '#81c784', '#ffb74d'];

export function Cross({ engine, pane }: { engine: Engine; pane: Pane }) {
  const { t } = useTranslation('viewer');
  const cross = usePart(pane.view, (view) => view.cross);
  const held = useRef(false);
  if (!cross) return null;
  const moved = (event: PointerEvent<SVGCircleElement>) => {
    if (!held.current) return;
    const box = event.currentTarget.ownerSVGElement?.getBoundingClientRect();
    const point = box && pane.worldAt(event.clientX - box.left, event.clientY - box.top);
    if (point) engine.locate(point, pane);
  };
  return (
    <svg className="mrv-cross">
      {cross.lines.map((line) => (
        <line key={line.of} x1={line.from[0]} y1={line.from[1]} x2={line.to[0]} y2={line.to[1]} stroke={COLOURS[line.of % 3]} strokeOpacity="0.75" />
      ))}
      <circle
        cx={cross.centre[0]}
        cy={cross.centre[1]}
        r="12"
        role="img"
        aria-label={t('viewer:mpr.grip')}
        onPointerDown={(event) => {
          held.current = true;
          event.currentTarget.setPointerCapture(event.pointerId);
        }}
        onPointerMove={moved}
        onPointerUp={() => {
          held.current = false;
        }}
      />
    </svg>
  );
}
