// What a pane is for those around it: its view, what it asks of the engine, and what its stack brings.
import type { StackViewport } from '@cornerstonejs/core';

import type { Frame, Stack } from '../dicom/model';

import type { Pane } from './pane';
import { fileWindows, type Window } from './presets';
import type { Scheduler } from './schedule';

/** A line of another plane in this one, in pixels of the pane. */
export interface CrossLine {
  of: number;
  from: [number, number];
  to: [number, number];
}

export interface PaneView {
  stack: Stack | null;
  /** The image that is wanted. */
  index: number;
  /** The image on the screen; another than the wanted one while that is under way. */
  shown: number | null;
  failed: boolean;
  window: Window | null;
  invert: boolean;
  /** Screen pixels for a pixel of the image. */
  zoom: number;
  pixelsPerMillimetre: number | null;
  letters: { top: string; right: string; bottom: string; left: string } | null;
  /** Pictures per second; 0 stands still. */
  cine: number;
  cross: { centre: [number, number]; lines: CrossLine[] } | null;
}

export interface PaneHost {
  scheduler: Scheduler;
  viewportOf(key: number): StackViewport | null;
  scrolled(pane: Pane, before: number): void;
  windowed(pane: Pane): void;
  moved(pane: Pane): void;
  shown(frame: Frame): void;
}

export const empty: PaneView = {
  stack: null, index: 0, shown: null, failed: false, window: null, invert: false, zoom: 1, pixelsPerMillimetre: null, letters: null, cine: 0, cross: null,
};

export function isColour(stack: Stack | null): boolean {
  const samples = stack?.frames[0]?.set['00280002']?.Value?.[0];
  const kind = stack?.frames[0]?.set['00280004']?.Value?.[0];
  return samples === 3 || kind === 'PALETTE COLOR';
}

/** Whether the images are stored with white as the least value: inverted is how they are meant. */
export function isInverse(stack: Stack | null): boolean {
  return stack?.frames[0]?.set['00280004']?.Value?.[0] === 'MONOCHROME1';
}

/** The window that a stack begins with: null leaves it to each image. */
export function defaultWindow(stack: Stack | null): Window | null {
  const frame = stack?.frames[Math.floor((stack.frames.length - 1) / 2)];
  if (!stack || !frame || isColour(stack)) return null;
  const own = fileWindows(frame)[0];
  if (stack.modality === 'CT') return own ? { centre: own.centre, width: own.width } : { centre: 50, width: 400 };
  return stack.id.includes('#') && own ? { centre: own.centre, width: own.width } : null;
}
