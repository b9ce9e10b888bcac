// Places and directions: order of stacks, letters, nearest slices, scale.
import { describe, expect, it } from 'vitest';

import { inOrder, isEven, isVolume, lettersOf, nearestIndex, planeOf, scaleBar, type Placed, type Six } from './geometry';

const axial: Six = [1, 0, 0, 0, 1, 0];
const coronal: Six = [1, 0, 0, 0, 0, -1];
const sagittal: Six = [0, 1, 0, 0, 0, -1];
const slice = (z: number, number: number, orientation: Six = axial): Placed => ({ position: [0, 0, z], orientation, number });

describe('geometry', () => {
  it('orders along the normal in the direction of the numbers', () => {
    const up = [slice(10, 3), slice(0, 1), slice(5, 2)];
    expect(inOrder(up).map((one) => one.position?.[2])).toEqual([0, 5, 10]);
    const down = [slice(10, 1), slice(0, 3), slice(5, 2)];
    expect(inOrder(down).map((one) => one.position?.[2])).toEqual([10, 5, 0]);
  });

  it('orders by number where places repeat or planes differ', () => {
    expect(inOrder([slice(0, 4), slice(5, 1), slice(0, 2), slice(5, 3)]).map((one) => one.number)).toEqual([1, 2, 3, 4]);
    expect(inOrder([slice(9, 2), slice(0, 1, coronal)]).map((one) => one.number)).toEqual([1, 2]);
  });

  it('knows a volume from what is none', () => {
    const even = [0, 5, 10, 15, 20].map((z, at) => slice(z, at));
    expect(isVolume(even)).toBe(true);
    expect(isVolume([...even, slice(60, 9)])).toBe(false);
    expect([isEven(even), isVolume([...even, slice(27, 9)]), isEven([...even, slice(27, 9)])]).toEqual([true, true, false]);
    expect(isVolume([...even, slice(25, 9, coronal)])).toBe(false);
    expect(isVolume(even.map((one) => ({ ...one, position: null })))).toBe(false);
  });

  it('names planes and directions', () => {
    expect([planeOf(axial), planeOf(coronal), planeOf(sagittal), planeOf(null)]).toEqual(['axial', 'coronal', 'sagittal', null]);
    expect(lettersOf([1, 0, 0])).toBe('L');
    expect(lettersOf([0, -1, 0])).toBe('A');
    expect(lettersOf([0, 0, -1])).toBe('F');
    expect(lettersOf([0.7, 0.71, 0])).toBe('PL');
  });

  it('finds the nearest slice', () => {
    const stack = [0, 5, 10].map((z, at) => slice(z, at));
    expect(nearestIndex(stack, [50, 50, 6.9])).toEqual({ index: 1, distance: expect.closeTo(1.9) as number });
    expect(nearestIndex([], [0, 0, 0])).toBeNull();
  });

  it('draws a scale of a round length', () => {
    expect(scaleBar(2, 800)).toEqual({ millimetres: 100, pixels: 200 });
    expect(scaleBar(0, 800)).toBeNull();
  });
});
