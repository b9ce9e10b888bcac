// The tools' signs: line drawings of our own on a 20 by 20 grid.
import type { ReactNode } from 'react';

const shapes = {
  window: <><circle cx="10" cy="10" r="7" /><path d="M10 3a7 7 0 0 1 0 14z" fill="currentColor" /></>,
  zoom: <><circle cx="8.5" cy="8.5" r="5.5" /><path d="M13 13l4.5 4.5M6 8.5h5M8.5 6v5" /></>,
  pan: <path d="M10 2v16M2 10h16M10 2L7.5 4.5M10 2l2.5 2.5M10 18l-2.5-2.5M10 18l2.5-2.5M2 10l2.5-2.5M2 10l2.5 2.5M18 10l-2.5-2.5M18 10l-2.5 2.5" />,
  length: <path d="M3 17L17 3M3 13v4h4M13 3h4v4" />,
  angle: <path d="M3 16h14M3 16L14 4M9.5 16a6.5 6.5 0 0 0-2.2-4.8" />,
  rectangle: <rect x="3" y="5" width="14" height="10" />,
  ellipse: <ellipse cx="10" cy="10" rx="7.5" ry="5" />,
  freehand: <path d="M4 13c-2-5 2-9 5-7s3-3 6-1 2 7-1 9-8 4-10-1z" />,
  probe: <><circle cx="10" cy="10" r="2" /><path d="M10 2v5M10 13v5M2 10h5M13 10h5" /></>,
  arrow: <path d="M4 16L15 5M9 4.5h6.5V11" />,
  text: <path d="M4 5V3.500h12V5M10 3.500v13M7.5 16.500h5" />,
  rotateRight: <path d="M15.5 8A6 6 0 1 0 16 12M16 3.500V8h-4.5" />,
  rotateLeft: <path d="M4.5 8A6 6 0 1 1 4 12M4 3.500V8h4.5" />,
  flipH: <path d="M10 2v16M7.5 5v10H2.500zM12.5 5v10h5z" />,
  flipV: <path d="M2 10h16M5 7.500h10V2.500zM5 12.500h10v5z" />,
  invert: <><rect x="3" y="3" width="14" height="14" /><path d="M3 3h7v14H3z" fill="currentColor" /></>,
  play: <path d="M5 3.500v13l11-6.500z" fill="currentColor" />,
  pause: <path d="M6 4v12M14 4v12" strokeWidth="3" />,
  key: <path d="M10 2.500l2.3 4.9 5.2.6-3.9 3.6 1.1 5.3-4.7-2.7-4.7 2.7 1.1-5.300L2.5 8l5.2-.6z" />,
  keyOn: <path d="M10 2.500l2.3 4.9 5.2.6-3.9 3.6 1.1 5.3-4.7-2.7-4.7 2.7 1.1-5.300L2.5 8l5.2-.6z" fill="currentColor" />,
  reset: <path d="M4.5 6.500A7 7 0 1 1 3 10.500M3.5 2.500v4.500H8" />,
  undo: <path d="M7 3.500L3 7.500l4 4M3.5 7.500H12a4.5 4.5 0 0 1 0 9H7" />,
  redo: <path d="M13 3.500l4 4-4 4M16.5 7.500H8a4.5 4.5 0 0 0 0 9h5" />,
  remove: <path d="M4 5.500h12M8 5.500V3.500h4v2M5.5 5.500l.8 11h7.400l.8-11M8.5 8.500v5M11.5 8.500v5" />,
  layout: <path d="M3 3h14v14H3zM10 3v14M3 10h14" />,
  mpr: <><path d="M3 6l7-3.500L17 6v8l-7 3.500L3 14z" /><path d="M3 6l7 3.500L17 6M10 9.500v8" /></>,
  sync: <path d="M3 8a7 7 0 0 1 12-2.500L17 7.500M17 3v4.500h-4.500M17 12a7 7 0 0 1-12 2.500L3 12.500M3 17v-4.500h4.5" />,
  align: <path d="M10 2v16M3 6h5M3 10h5M3 14h5M12 6h5M12 10h5M12 14h5" />,
  overlay: <path d="M3 4h5M3 7h3M12 4h5M14 7h3M3 16h5M3 13h3M12 16h5M14 13h3" />,
  marks: <path d="M2 10s3-5 8-5 8 5 8 5-3 5-8 5-8-5-8-5zM10 7.500a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5z" />,
  keyboard: <path d="M2 5h16v10H2zM5 8h.5M8.5 8h.5M12 8h.5M15 8h.5M5 12h10" />,
  screen: <path d="M2.5 4h9v7h-9zM9 13.500V16h8.500V8.500H14M5 14h4" />,
  full: <path d="M3 7.500V3h4.500M12.5 3H17v4.500M17 12.500V17h-4.500M7.5 17H3v-4.5" />,
  fit: <path d="M3 3h14v14H3zM6.5 8.500v-2h2M11.5 6.500h2v2M13.5 11.500v2h-2M8.5 13.500h-2v-2" />,
  rail: <path d="M3 3h14v14H3zM7.5 3v14" />,
  more: <path d="M4 10h.5M10 10h.5M16 10h.5" strokeWidth="3" />,
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof shapes;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg viewBox="0 0 20 20" width="20" height="20" fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      {shapes[name]}
    </svg>
  );
}
