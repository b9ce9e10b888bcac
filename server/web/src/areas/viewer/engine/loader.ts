// Cornerstone's way to our frames: fetched from the relay, decoded in its workers, and given up on demand.
import { imageLoader, type Types } from '@cornerstonejs/core';
import { createImage } from '@cornerstonejs/dicom-image-loader';

import { askFrame } from '../dicom/web';

import { frameOf } from './provider';

export const SCHEME = 'medrelay';
/** Why an image that nobody needs now was not fetched. */
export const GIVEN_UP = new DOMException('not needed now', 'AbortError');
const running = new Map<string, AbortController>();

/** Stops fetching an image. */
export function giveUp(imageId: string): void {
  running.get(imageId)?.abort(GIVEN_UP);
}

async function load(imageId: string, signal: AbortSignal): Promise<Types.IImage> {
  const frame = frameOf(imageId);
  if (!frame) throw new Error(`unknown image ${imageId}`);
  const { bytes, syntax } = await askFrame(imageId.slice(SCHEME.length + 1), frame.set, signal);
  // A copy that starts at an even place: 16-bit pixels are read in place.
  const own = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  const image = await createImage(imageId, own as unknown as Parameters<typeof createImage>[1], syntax, { useRGBA: false });
  return image as unknown as Types.IImage;
}

function loadImage(imageId: string): { promise: Promise<Types.IImage>; cancelFn: () => void } {
  const control = new AbortController();
  running.set(imageId, control);
  const promise = load(imageId, control.signal).finally(() => {
    if (running.get(imageId) === control) running.delete(imageId);
  });
  return { promise, cancelFn: () => control.abort(GIVEN_UP) };
}

/** Registers the way. */
export function registerFrames(): void {
  imageLoader.registerImageLoader(SCHEME, loadImage as unknown as Types.ImageLoaderFn);
}
