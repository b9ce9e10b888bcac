// From what Cornerstone calls the target of a measurement to the image that was measured.
import { cache } from '@cornerstonejs/core';

import type { Frame } from '../dicom/model';

import { frameOf } from './provider';

const imageIdOf = (target: string): string => (target.startsWith('imageId:') ? target.slice('imageId:'.length) : target);

/** The value of a pixel of an image that is kept: one number, or three of a colour; null where there is none. */
export function valueAt(target: string, column: number, row: number): number[] | null {
  const image = cache.getImage(imageIdOf(target));
  if (!image || column < 0 || row < 0 || column >= image.columns || row >= image.rows) return null;
  const pixels = image.getPixelData();
  const samples = Math.max(1, Math.round(pixels.length / (image.columns * image.rows)));
  const at = (row * image.columns + column) * samples;
  const { scaled, scalingParameters } = image.preScale ?? {};
  const [slope, intercept] = scaled || samples > 1 ? [1, 0] : [scalingParameters?.rescaleSlope ?? image.slope ?? 1, scalingParameters?.rescaleIntercept ?? image.intercept ?? 0];
  return Array.from({ length: Math.min(3, samples) }, (_, place) => (pixels[at + place] as number) * slope + intercept);
}

/** The image behind `imageId:…`. */
export function measuredFrame(target: string): Frame | undefined {
  return frameOf(imageIdOf(target));
}
