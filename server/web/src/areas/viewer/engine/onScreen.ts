// Directions and scale of an image as it is on the screen now: asked the same way of graphics hardware and of the CPU.
import type { StackViewport } from '@cornerstonejs/core';

import { length, lettersOf, minus, scale } from '../dicom/geometry';
import type { Frame } from '../dicom/model';
import type { Point } from '../types';

import type { PaneView } from './paneView';

/** Pixels of the screen that are looked along. */
const FAR = 50;

/** Null while the pane has no size. */
export function onScreen(viewport: StackViewport, frame: Frame): Pick<PaneView, 'zoom' | 'pixelsPerMillimetre' | 'letters'> | null {
  const { clientWidth: width, clientHeight: height } = viewport.element;
  if (width === 0 || height === 0) return null;
  const at = (x: number, y: number) => viewport.canvasToWorld([x, y]) as Point;
  const middle = at(width / 2, height / 2);
  const right = minus(at(width / 2 + FAR, height / 2), middle);
  const down = minus(at(width / 2, height / 2 + FAR), middle);
  const across = length(right);
  if (!(across > 0)) return null;
  const letters = (way: Point, sign: 1 | -1) => lettersOf(scale(way, sign / length(way)));
  return {
    zoom: (FAR / across) * (frame.spacing?.[1] ?? 1),
    pixelsPerMillimetre: frame.calibration === 'none' ? null : FAR / across,
    letters: frame.orientation ? { right: letters(right, 1), left: letters(right, -1), bottom: letters(down, 1), top: letters(down, -1) } : null,
  };
}
