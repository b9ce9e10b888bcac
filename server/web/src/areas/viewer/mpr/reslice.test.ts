// Cutting planes: the right voxels at the right places, the right way round.
import { describe, expect, it } from 'vitest';

import type { Frame } from '../dicom/model';
import type { Six } from '../dicom/geometry';
import { align, mayGoTogether, partner } from '../engine/sync';
import type { Stack } from '../dicom/model';

import { cutOf, cutOrigin, cutPixels, volumeOf } from './reslice';

const axial: Six = [1, 0, 0, 0, 1, 0];

function frames(count: number, step = 2, from = 0): Frame[] {
  return Array.from({ length: count }, (_, at) => ({
    imageId: `f${at}`, study: 's', series: 'x', sop: `${at}`, frame: 1, number: at, position: [0, 0, from + at * step], orientation: axial, spacing: [1, 1],
    calibration: 'calibrated', thickness: 2, rows: 3, columns: 4, groups: [], set: {},
  }));
}

/** Every voxel says where it is: 100 k + 10 j + i. */
function voxels(slices: number): Int16Array {
  return Int16Array.from({ length: 12 * slices }, (_, at) => 100 * Math.floor(at / 12) + 10 * Math.floor((at % 12) / 4) + (at % 4));
}

describe('cut planes', () => {
  const volume = volumeOf('v', frames(3));

  it('knows its block', () => {
    expect(volume).toMatchObject({ size: { i: 4, j: 3, k: 3 }, step: { i: 1, j: 1, k: 2 }, origin: [0, 0, 0] });
    expect(volumeOf('v', frames(1))).toBeNull();
    expect(volumeOf('v', frames(9), 3)?.size.k).toBe(3);
  });

  it('cuts the coronal plane with the head up and square pixels', () => {
    if (!volume) throw new Error('no volume');
    const cut = cutOf(volume, 'j');
    expect(cut).toMatchObject({ plane: 'coronal', columns: 4, rows: 5, right: { axis: 'i', back: false }, down: { axis: 'k', back: true } });
    expect(cut.orientation).toEqual([1, 0, 0, -0, -0, -1]);
    expect(cutOrigin(volume, cut, 1)).toEqual([0, 1, 4]);
    const pixels = Array.from(cutPixels(volume, voxels(3), cut, 1));
    expect(pixels.slice(0, 4)).toEqual([210, 211, 212, 213]);
    expect(pixels.slice(4, 8)).toEqual([160, 161, 162, 163]);
    expect(pixels.slice(16)).toEqual([10, 11, 12, 13]);
  });

  it('cuts the sagittal plane with the face to the left', () => {
    if (!volume) throw new Error('no volume');
    const cut = cutOf(volume, 'i');
    expect(cut).toMatchObject({ plane: 'sagittal', columns: 3, rows: 5, right: { axis: 'j', back: false } });
    expect(Array.from(cutPixels(volume, voxels(3), cut, 2)).slice(0, 3)).toEqual([202, 212, 222]);
  });
});

describe('stacks that go together', () => {
  const stack = (id: string, list: Frame[], frameOfReference: string | null) => ({ id, frames: list, frameOfReference }) as unknown as Stack;

  it('by position in one space', () => {
    const a = stack('a', frames(10, 2), 'f');
    const b = stack('b', frames(5, 4), 'f');
    expect(partner(a, 6, b, [])).toBe(3);
    expect(mayGoTogether(a, b)).toBe(false);
    expect(partner(a, 9, stack('c', frames(5, 4, 500), 'f'), [])).toBeNull();
  });

  it('by alignment in two spaces, millimetre for millimetre', () => {
    const a = stack('a', frames(10, 2), 'f');
    const b = stack('b', frames(10, 4), 'g');
    expect(partner(a, 4, b, [])).toBeNull();
    expect(mayGoTogether(a, b)).toBe(true);
    const pair = align(a, 4, b, 5);
    expect(partner(a, 4, b, [pair])).toBe(5);
    expect(partner(a, 8, b, [pair])).toBe(7);
    expect(partner(b, 5, a, [pair])).toBe(4);
    expect(partner(b, 9, a, [pair])).toBe(9);
  });
});
