// From what Cornerstone calls the target of a measurement to the image that was measured.
import type { Frame } from '../dicom/model';
import { frameOf } from './provider';

/** The image behind `imageId:…`. */
export function measuredFrame(target: string): Frame | undefined {
  const imageId = target.startsWith('imageId:') ? target.slice('imageId:'.length) : target;
  return frameOf(imageId);
}
