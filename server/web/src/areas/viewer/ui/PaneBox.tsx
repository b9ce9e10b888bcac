// One pane on the screen: the image, what stands over it, its scroll bar, and what wheel, fingers and dragging do.
import { useEffect, useRef, type DragEvent, type PointerEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { EcgView } from '../ecg/EcgView';
import type { Engine } from '../engine/engine';
import type { Session } from '../engine/session';
import { usePart } from '../engine/signal';

import { Cross } from './Cross';
import { DocumentPane } from './DocumentPane';
import { Overlay } from './Overlay';
import { ScrollBar } from './ScrollBar';

export const DRAGGED = 'application/x-medrelay-stack';

interface Props {
  engine: Engine;
  session: Session;
  paneKey: number;
  active: boolean;
  /** As the check of the display gave it; `null` without one. */
  pixelsPerMillimetre: number | null;
}

export function PaneBox({ engine, session, paneKey, active, pixelsPerMillimetre }: Props) {
  const { t } = useTranslation('viewer');
  const pane = engine.panes[paneKey];
  const element = useRef<HTMLDivElement>(null);
  const kind = usePaneKind(engine, paneKey);
  const wheel = useRef(0);

  useEffect(() => {
    const box = element.current;
    if (!box || kind !== 'image') return undefined;
    const detach = engine.attach(paneKey, box);
    const turned = (event: WheelEvent) => {
      event.preventDefault();
      if (event.ctrlKey) {
        engine.panes[paneKey]?.zoomBy(event.deltaY < 0 ? 1.1 : 1 / 1.1);
        return;
      }
      // A touch pad sends many small steps, a wheel few large ones.
      wheel.current += Math.abs(event.deltaY) >= 40 || event.deltaMode !== 0 ? Math.sign(event.deltaY) : event.deltaY / 40;
      const whole = Math.trunc(wheel.current);
      if (whole === 0) return;
      wheel.current -= whole;
      const own = engine.panes[paneKey];
      own?.goTo(own.view.get().index + whole, 'hand');
    };
    box.addEventListener('wheel', turned, { passive: false });
    return () => {
      box.removeEventListener('wheel', turned);
      detach();
    };
  }, [engine, paneKey, kind]);

  if (!pane) return null;

  const dropped = (event: DragEvent) => {
    event.preventDefault();
    const stack = event.dataTransfer.getData(DRAGGED);
    if (stack) engine.choose(paneKey, stack);
  };
  const pressed = (event: PointerEvent<HTMLDivElement>) => {
    engine.activate(paneKey);
    if (!event.shiftKey || event.button !== 0 || kind !== 'image') return;
    const box = event.currentTarget.getBoundingClientRect();
    const point = pane.worldAt(event.clientX - box.left, event.clientY - box.top);
    if (!point) return;
    event.stopPropagation();
    engine.locate(point, pane);
  };
  return (
    <section
      className={active ? 'mrv-pane mrv-active' : 'mrv-pane'}
      aria-label={t('viewer:pane.name', { number: paneKey + 1 })}
      tabIndex={0}
      onFocus={() => engine.activate(paneKey)}
      onPointerDownCapture={pressed}
      onDragOver={(event) => event.preventDefault()}
      onDrop={dropped}
    >
      {kind === 'image' && <div ref={element} className="mrv-image" data-pane={paneKey} onContextMenu={(event) => event.preventDefault()} />}
      {kind === 'ecg' && <EcgPane engine={engine} session={session} paneKey={paneKey} pixelsPerMillimetre={pixelsPerMillimetre} />}
      {kind === 'document' && <DocumentPane pane={pane} />}
      {kind === 'image' && <Cross engine={engine} pane={pane} />}
      {kind === 'image' && <Overlay engine={engine} pane={pane} />}
      {kind === 'image' && <ScrollBar engine={engine} pane={pane} />}
    </section>
  );
}

function EcgPane({ engine, session, paneKey, pixelsPerMillimetre }: { engine: Engine; session: Session; paneKey: number; pixelsPerMillimetre: number | null }) {
  const pane = engine.panes[paneKey];
  const stack = usePaneStack(engine, paneKey);
  if (!pane || !stack?.object) return null;
  return (
    <EcgView
      set={stack.object}
      pixelsPerMillimetre={pixelsPerMillimetre}
      marks={session.ecg}
      readOnly={engine.readOnly}
      onMarks={(marks) => session.setEcg(marks)}
    />
  );
}

function usePaneStack(engine: Engine, paneKey: number) {
  const pane = engine.panes[paneKey];
  return usePart((pane ?? engine.panes[0] ?? engine.active).view, (view) => view.stack);
}

function usePaneKind(engine: Engine, paneKey: number): 'image' | 'ecg' | 'document' {
  const stack = usePaneStack(engine, paneKey);
  return stack?.kind === 'ecg' ? 'ecg' : stack?.kind === 'document' || stack?.kind === 'unknown' ? 'document' : 'image';
}
