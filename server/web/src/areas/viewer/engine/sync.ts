// Panes that go together: by position in the same frame of reference, else by the place that was aligned by hand. Pure but for the panes.
import { dot, nearestIndex, normalOf, rowOf } from '../dicom/geometry';
import type { Stack } from '../dicom/model';
import type { Alignment } from '../types';

/** Where the second stack stands when the first stands at `index`; null when they do not go together. */
export function partner(a: Stack, index: number, b: Stack, alignments: readonly Alignment[]): number | null {
  const frame = a.frames[index];
  const first = b.frames[0];
  if (!frame || !first || a.id === b.id) return a.id === b.id ? index : null;
  const aligned = alignments.find((pair) => (pair.a === a.id && pair.b === b.id) || (pair.a === b.id && pair.b === a.id));
  const sameSpace = a.frameOfReference !== null && a.frameOfReference === b.frameOfReference;
  const parallelPlanes = frame.orientation && first.orientation && Math.abs(dot(normalOf(frame.orientation), normalOf(first.orientation))) > 0.95;
  if (!aligned && sameSpace && parallelPlanes && frame.position) {
    const found = nearestIndex(b.frames, frame.position);
    const step = spacingOf(b);
    return found && found.distance <= Math.max(step, 1) * 1.5 ? found.index : null;
  }
  if (!aligned) return null;
  return clamp(byMillimetres(a, index, b, aligned), b.frames.length);
}

/** Whether two stacks of different spaces may be scrolled together at all: their planes are parallel, or unknown in both. */
export function mayGoTogether(a: Stack, b: Stack): boolean {
  const [one, other] = [a.frames[0]?.orientation, b.frames[0]?.orientation];
  if (a.id === b.id || (a.frameOfReference !== null && a.frameOfReference === b.frameOfReference)) return false;
  return one && other ? Math.abs(dot(normalOf(one), normalOf(other))) > 0.95 : !one && !other;
}

const clamp = (index: number, count: number): number => Math.min(count - 1, Math.max(0, index));

/** Steps of different thickness are put right: ten millimetres here are ten there. */
function byMillimetres(a: Stack, index: number, b: Stack, aligned: Alignment): number {
  const ratio = direction(a) * direction(b) * (spacingOf(a) / spacingOf(b));
  const forward = aligned.a === a.id;
  // `offset` is the index of `b` that stands beside the first image of `a`, in steps of `b`.
  return Math.round(forward ? index * ratio + aligned.offset : (index - aligned.offset) * ratio);
}

/** Takes down that two stacks stand beside each other where they are now. */
export function align(a: Stack, indexA: number, b: Stack, indexB: number): Alignment {
  const ratio = direction(a) * direction(b) * (spacingOf(a) / spacingOf(b));
  return { a: a.id, b: b.id, offset: Math.round((indexB - indexA * ratio) * 1_000) / 1_000 };
}

/** Millimetres from image to image. */
export function spacingOf(stack: Stack): number {
  const [first, second] = stack.frames;
  if (!first?.position || !second?.position || !first.orientation) return first?.thickness ?? 1;
  const normal = normalOf(first.orientation);
  const step = Math.abs(dot([second.position[0] - first.position[0], second.position[1] - first.position[1], second.position[2] - first.position[2]], normal));
  return step > 0.01 ? step : (first.thickness ?? 1);
}

/** Whether a stack runs with its main axis or against it. */
function direction(stack: Stack): 1 | -1 {
  const first = stack.frames[0];
  const last = stack.frames[stack.frames.length - 1];
  if (!first?.position || !last?.position || !first.orientation) return 1;
  const way: [number, number, number] = [last.position[0] - first.position[0], last.position[1] - first.position[1], last.position[2] - first.position[2]];
  const most = way.reduce((best, part, at) => (Math.abs(part) > Math.abs(way[best] as number) ? at : best), 0);
  return (way[most] as number) >= 0 || rowOf(first.orientation).every((part) => part === 0) ? 1 : -1;
}
