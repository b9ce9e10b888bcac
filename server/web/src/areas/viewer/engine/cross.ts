// Crosshairs: where the planes of the other panes run through each pane, and where all of them meet.
import { add, cross, dot, length, minus, normalOf, scale } from '../dicom/geometry';
import type { Frame } from '../dicom/model';
import type { Point } from '../types';

import type { Pane } from './pane';

const REACH = 2_000;

/** The point where three planes meet; null when two of them are parallel. */
export function meeting(frames: readonly Frame[]): Point | null {
  const [a, b, c] = frames.map((frame) => (frame.orientation && frame.position ? { n: normalOf(frame.orientation), p: frame.position } : null));
  if (!a || !b || !c) return null;
  const bc = cross(b.n, c.n);
  const across = dot(a.n, bc);
  if (Math.abs(across) < 1e-3) return null;
  const sum = add(add(scale(bc, dot(a.p, a.n)), scale(cross(c.n, a.n), dot(b.p, b.n))), scale(cross(a.n, b.n), dot(c.p, c.n)));
  return scale(sum, 1 / across);
}

/** Puts the lines into the panes. */
export function drawCross(panes: readonly Pane[]): void {
  const frames = panes.map((pane) => pane.shownFrame);
  const meet = frames.every((frame): frame is Frame => frame !== null) ? meeting(frames) : null;
  panes.forEach((pane, at) => {
    const own = frames[at];
    const centre = meet && pane.canvasAt(meet);
    if (!meet || !centre || !own?.orientation) {
      if (pane.view.get().cross) pane.view.patch({ cross: null });
      return;
    }
    const normal = normalOf(own.orientation);
    const lines = frames.flatMap((other, of) => {
      if (of === at || !other?.orientation) return [];
      const way = cross(normal, normalOf(other.orientation));
      if (length(way) < 0.01) return [];
      const from = pane.canvasAt(minus(meet, scale(way, REACH)));
      const to = pane.canvasAt(add(meet, scale(way, REACH)));
      return from && to ? [{ of, from, to }] : [];
    });
    pane.view.patch({ cross: { centre, lines } });
  });
}
