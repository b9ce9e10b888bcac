// Cut planes as images of their own: Cornerstone shows and measures them like any other.
import { imageLoader, utilities, type Types } from '@cornerstonejs/core';

import type { Frame, Stack } from '../dicom/model';

import { cutOf, cutOrigin, cutPixels, putSlice, volumeOf, type Axis, type Cut, type Volume, type Voxels } from './reslice';

export const SCHEME = 'mrcut';

interface Block {
  volume: Volume;
  cuts: Record<Axis, Cut>;
  voxels: Voxels;
  filled: Uint8Array;
  extent: [number, number];
}

const blocks = new Map<string, Block>();

/** Makes an empty block for a stack. `bytes` is what it may take; slices are left out when it would be more. */
export function openBlock(stack: Stack, sample: Types.IImage, bytes: number): Volume | null {
  const first = stack.frames[0];
  if (!first) return null;
  const wide = sample.getPixelData() instanceof Float32Array;
  const whole = first.rows * first.columns * stack.frames.length * (wide ? 4 : 2);
  const volume = volumeOf(stack.id, stack.frames, Math.max(1, Math.ceil(whole / bytes)));
  if (!volume) return null;
  const length = volume.size.i * volume.size.j * volume.size.k;
  const voxels = wide ? new Float32Array(length) : sample.getPixelData() instanceof Uint16Array ? new Uint16Array(length) : new Int16Array(length);
  // What is not there yet, and what lies beside slices that stand askew, is as dark as the darkest.
  voxels.fill(sample.minPixelValue);
  blocks.set(stack.id, {
    volume,
    cuts: { i: cutOf(volume, 'i'), j: cutOf(volume, 'j'), k: cutOf(volume, 'k') },
    voxels,
    filled: new Uint8Array(volume.size.k),
    extent: [sample.minPixelValue, sample.maxPixelValue],
  });
  return volume;
}

export function closeBlock(id: string): void {
  blocks.delete(id);
}

/** Puts a slice into its block; true when it was missing there. */
export function fillSlice(id: string, imageId: string, image: Types.IImage): boolean {
  const block = blocks.get(id);
  const at = block?.volume.frames.findIndex((frame) => frame.imageId === imageId) ?? -1;
  if (!block || at < 0 || block.filled[at]) return false;
  const pixels = image.getPixelData();
  const { rows, columns } = block.volume.frames[0] as Frame;
  if (pixels.length !== rows * columns) return false;
  putSlice(block.volume, block.voxels, at, pixels, rows, columns);
  block.filled[at] = 1;
  block.extent = [Math.min(block.extent[0], image.minPixelValue), Math.max(block.extent[1], image.maxPixelValue)];
  return true;
}

/** How many slices of a block are there. */
export function filledOf(id: string): { filled: number; total: number } {
  const block = blocks.get(id);
  return block ? { filled: block.filled.reduce((sum, one) => sum + one, 0), total: block.volume.size.k } : { filled: 0, total: 0 };
}

export function cutImageId(id: string, axis: Axis, index: number): string {
  return `${SCHEME}:${id}/${axis}/${index}`;
}

export function parseCut(imageId: string): { id: string; axis: Axis; index: number } | null {
  const found = /^mrcut:(.+)\/([ijk])\/(\d+)$/.exec(imageId);
  return found ? { id: found[1] as string, axis: found[2] as Axis, index: Number(found[3]) } : null;
}

/** The stack of all cuts across an axis. */
export function cutStack(stack: Stack, axis: Axis): Stack | null {
  const block = blocks.get(stack.id);
  const source = block?.volume.frames[0];
  if (!block || !source) return null;
  const cut = block.cuts[axis];
  const frames: Frame[] = Array.from({ length: cut.count }, (_, index) => ({
    ...source,
    imageId: cutImageId(stack.id, axis, index),
    frame: index + 1,
    number: index,
    position: cutOrigin(block.volume, cut, index),
    orientation: cut.orientation,
    spacing: cut.spacing,
    thickness: block.volume.step[axis],
    rows: cut.rows,
    columns: cut.columns,
    groups: [],
  }));
  return { ...stack, id: `${stack.id}#${axis}`, frames, expected: frames.length, known: true };
}

/** Which plane the cut across an axis is. */
export function planeAcross(id: string, axis: Axis): Cut['plane'] | null {
  return blocks.get(id)?.cuts[axis].plane ?? null;
}

/** A cut as an image. */
export function cutImage(imageId: string): Types.IImage {
  const wanted = parseCut(imageId);
  const block = wanted ? blocks.get(wanted.id) : undefined;
  if (!wanted || !block) throw new Error(`no volume for ${imageId}`);
  const cut = block.cuts[wanted.axis];
  const pixels = cutPixels(block.volume, block.voxels, cut, wanted.index);
  const [least, most] = block.extent;
  const { columns, rows } = cut;
  return {
    imageId,
    dataType: pixels.constructor.name as Types.PixelDataTypedArrayString,
    color: false,
    rgba: false,
    columns,
    width: columns,
    rows,
    height: rows,
    columnPixelSpacing: cut.spacing[1],
    rowPixelSpacing: cut.spacing[0],
    slope: 1,
    intercept: 0,
    preScale: { enabled: true, scaled: true, scalingParameters: { rescaleSlope: 1, rescaleIntercept: 0 } },
    isPreScaled: true,
    invert: false,
    minPixelValue: least,
    maxPixelValue: most,
    windowCenter: (least + most) / 2,
    windowWidth: Math.max(1, most - least),
    voiLUTFunction: 'LINEAR' as Types.IImage['voiLUTFunction'],
    numberOfComponents: 1,
    sizeInBytes: pixels.byteLength,
    getPixelData: () => pixels,
    getCanvas: () => document.createElement('canvas'),
    voxelManager: utilities.VoxelManager.createImageVoxelManager({ scalarData: pixels, width: columns, height: rows, numberOfComponents: 1 }) as Types.IImage['voxelManager'],
  };
}

/** Registers the way to cuts. */
export function registerCuts(): void {
  imageLoader.registerImageLoader(SCHEME, ((imageId: string) => ({ promise: Promise.resolve().then(() => cutImage(imageId)) })) as unknown as Types.ImageLoaderFn);
}
