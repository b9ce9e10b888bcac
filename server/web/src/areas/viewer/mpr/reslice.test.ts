// Cutting planes: the right voxels at the right places, the right way round.
import { describe, expect, it } from 'vitest';

import type { Frame } from '../dicom/model';
import type { Six } from '../dicom/geometry';
import { align, mayGoTogether, partner } from '../engine/sync';
import type { Stack } from '../dicom/model';

import { cutOf, cutOrigin, cutPixels, putSlice, sliceAt, volumeOf } from './reslice';

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

describe('slices that stand askew, in uneven steps', () => {
  const tilt = (18.5 * Math.PI) / 180;
  const askew: Six = [1, 0, 0, 0, Math.cos(tilt), -Math.sin(tilt)];
  const heights = [0, 4, 8, 12, 19, 26, 33, 40];
  const columns = 4;
  const rows = 40;
  const tilted = heights.map((z, at) => ({ ...(frames(1)[0] as Frame), imageId: `t${at}`, number: at, position: [0, 0, z] as [number, number, number], orientation: askew, rows, columns }));
  const volume = volumeOf('t', tilted);

  it('lie where the device says', () => {
    if (!volume) throw new Error('no volume');
    expect(volume.size).toMatchObject({ i: 4, k: 8 });
    expect(volume.size.j).toBe(rows + Math.ceil(40 * Math.sin(tilt)));
    expect(volume.places[4]).toBeCloseTo(19 * Math.cos(tilt), 6);
    expect(sliceAt(volume.places, volume.places[4] as number)).toBe(4);
    expect(sliceAt(volume.places, ((volume.places[4] as number) + (volume.places[5] as number)) / 2)).toBeCloseTo(4.5, 6);
  });

  it('give planes without a shear: what is measured there stands there', () => {
    if (!volume) throw new Error('no volume');
    const voxels = new Float32Array(volume.size.i * volume.size.j * volume.size.k);
    // Every pixel says how far back (y) and how high (z) it lies.
    heights.forEach((z, at) => {
      const pixels = Float32Array.from({ length: rows * columns }, (_, place) => {
        const down = Math.floor(place / columns);
        return 100 * down * Math.cos(tilt) + (z - down * Math.sin(tilt));
      });
      putSlice(volume, voxels, at, pixels, rows, columns);
    });
    const cut = cutOf(volume, 'i');
    const pixels = cutPixels(volume, voxels, cut, 2);
    const begin = cutOrigin(volume, cut, 2);
    for (const [row, column] of [[10, 25], [20, 30], [25, 28]] as const) {
      const at = [0, 1, 2].map((axis) => (begin[axis] as number) + column * cut.spacing[1] * (cut.orientation[axis] as number) + row * cut.spacing[0] * (cut.orientation[axis + 3] as number));
      expect(pixels[row * cut.columns + column]).toBeCloseTo(100 * (at[1] as number) + (at[2] as number), 1);
    }
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
