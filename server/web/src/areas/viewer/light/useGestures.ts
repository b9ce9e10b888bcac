// Fingers on a picture: one swipes through the stack (or moves the picture when it is larger), two zoom, a double tap fits again.
import { useRef, useState, type PointerEvent, type WheelEvent } from 'react';

/** Pixels of a swipe for one image. */
const STEP = 24;
const MOST = 8;

interface View {
  zoom: number;
  x: number;
  y: number;
}

const whole: View = { zoom: 1, x: 0, y: 0 };

export function useGestures(step: (by: number) => void) {
  const [view, setView] = useState<View>(whole);
  const fingers = useRef(new Map<number, { x: number; y: number }>());
  const rest = useRef(0);
  const tapped = useRef(0);

  const down = (event: PointerEvent<HTMLElement>) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    fingers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
    rest.current = 0;
    if (event.timeStamp - tapped.current < 300 && fingers.current.size === 1) setView(whole);
    tapped.current = event.timeStamp;
  };
  const move = (event: PointerEvent<HTMLElement>) => {
    const before = fingers.current.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const other = [...fingers.current].find(([id]) => id !== event.pointerId)?.[1];
    fingers.current.set(event.pointerId, now);
    if (other) {
      const apart = (a: typeof now) => Math.hypot(a.x - other.x, a.y - other.y);
      const factor = apart(now) / Math.max(1, apart(before));
      setView((old) => bounded({ ...old, zoom: old.zoom * factor }));
      return;
    }
    if (view.zoom > 1.05) {
      setView((old) => bounded({ ...old, x: old.x + now.x - before.x, y: old.y + now.y - before.y }));
      return;
    }
    const [dx, dy] = [now.x - before.x, now.y - before.y];
    rest.current += Math.abs(dx) > Math.abs(dy) ? -dx : -dy;
    const images = Math.trunc(rest.current / STEP);
    if (images === 0) return;
    rest.current -= images * STEP;
    step(images);
  };
  const up = (event: PointerEvent<HTMLElement>) => {
    fingers.current.delete(event.pointerId);
  };
  const turned = (event: WheelEvent<HTMLElement>) => {
    if (event.ctrlKey) setView((old) => bounded({ ...old, zoom: old.zoom * (event.deltaY < 0 ? 1.15 : 1 / 1.15) }));
    else step(Math.sign(event.deltaY));
  };
  return {
    transform: `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`,
    reset: () => setView(whole),
    handlers: { onPointerDown: down, onPointerMove: move, onPointerUp: up, onPointerCancel: up, onWheel: turned },
  };
}

function bounded(view: View): View {
  const zoom = Math.min(MOST, Math.max(1, view.zoom));
  if (zoom === 1) return whole;
  const room = 400 * zoom;
  return { zoom, x: Math.min(room, Math.max(-room, view.x)), y: Math.min(room, Math.max(-room, view.y)) };
}
