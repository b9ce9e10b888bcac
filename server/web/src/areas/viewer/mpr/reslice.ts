// Cutting planes out of a stack of parallel slices. Pure arithmetic, so that it works with and without graphics hardware.
import { add, columnOf, cross, dot, minus, normalOf, planeOf, rowOf, scale, type Plane, type Six } from '../dicom/geometry';
import type { Frame } from '../dicom/model';
import type { Point } from '../types';

export type Axis = 'i' | 'j' | 'k';
export type Voxels = Int16Array | Uint16Array | Float32Array;

/** Slices as one block; `i` goes along rows of pixels, `j` down the columns, `k` from slice to slice. */
export interface Volume {
  id: string;
  size: { i: number; j: number; k: number };
  step: { i: number; j: number; k: number };
  along: { i: Point; j: Point; k: Point };
  origin: Point;
  /** Every so many slices is kept; 1 unless memory is short. */
  every: number;
  frames: readonly Frame[];
}

/** Describes the block of a stack; null when it is none. The stack must be in order and evenly spaced (`isVolume`). */
export function volumeOf(id: string, frames: readonly Frame[], every = 1): Volume | null {
  const kept = frames.filter((_, at) => at % every === 0);
  const [first, second] = kept;
  const last = kept[kept.length - 1];
  if (!first?.orientation || !first.position || !second?.position || !last?.position || !first.spacing) return null;
  const normal = normalOf(first.orientation);
  const across = dot(minus(last.position, first.position), normal);
  const k = across >= 0 ? normal : scale(normal, -1);
  return {
    id,
    size: { i: first.columns, j: first.rows, k: kept.length },
    step: { i: first.spacing[1], j: first.spacing[0], k: Math.abs(across) / (kept.length - 1) },
    along: { i: rowOf(first.orientation), j: columnOf(first.orientation), k },
    origin: first.position,
    every,
    frames: kept,
  };
}

/** How a cut stands on the screen: which axis goes right and which goes down, and whether backwards. */
export interface Cut {
  axis: Axis;
  plane: Plane;
  right: { axis: Axis; back: boolean };
  down: { axis: Axis; back: boolean };
  columns: number;
  rows: number;
  spacing: [number, number];
  orientation: Six;
  count: number;
}

const AXES: readonly Axis[] = ['i', 'j', 'k'];
// Patients look at the reader, head up: right on the screen is their left, down is their back or their feet.
const RIGHT: Record<Plane, Point> = { axial: [1, 0, 0], coronal: [1, 0, 0], sagittal: [0, 1, 0] };
const DOWN: Record<Plane, Point> = { axial: [0, 1, 0], coronal: [0, 0, -1], sagittal: [0, 0, -1] };

/** The cut across one axis of a volume. */
export function cutOf(volume: Volume, axis: Axis): Cut {
  const others = AXES.filter((one) => one !== axis);
  const normal = volume.along[axis];
  const plane = planeOf(perpendicular(normal)) ?? 'axial';
  const [a, b] = others as [Axis, Axis];
  const aIsRight = Math.abs(dot(volume.along[a], RIGHT[plane])) >= Math.abs(dot(volume.along[b], RIGHT[plane]));
  const right = { axis: aIsRight ? a : b, back: false };
  const down = { axis: aIsRight ? b : a, back: false };
  right.back = dot(volume.along[right.axis], RIGHT[plane]) < 0;
  down.back = dot(volume.along[down.axis], DOWN[plane]) < 0;
  const u = scale(volume.along[right.axis], right.back ? -1 : 1);
  const v = scale(volume.along[down.axis], down.back ? -1 : 1);
  // Slices lie farther apart than pixels: between them is interpolated, so that pixels become square.
  const fine = Math.min(volume.step.i, volume.step.j);
  const dots = (one: Axis) => (one === 'k' ? Math.max(2, Math.min(2_048, Math.round(((volume.size.k - 1) * volume.step.k) / fine) + 1)) : volume.size[one]);
  const apart = (one: Axis) => (one === 'k' ? ((volume.size.k - 1) * volume.step.k) / (dots('k') - 1) : volume.step[one]);
  return {
    axis,
    plane,
    right,
    down,
    columns: dots(right.axis),
    rows: dots(down.axis),
    spacing: [apart(down.axis), apart(right.axis)],
    orientation: [...u, ...v] as Six,
    count: volume.size[axis],
  };
}

function perpendicular(normal: Point): Six {
  const helper: Point = Math.abs(normal[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0];
  const u = cross(helper, normal);
  const v = cross(normal, u);
  return [...u, ...v] as Six;
}

/** Where the first pixel of a cut lies. */
export function cutOrigin(volume: Volume, cut: Cut, index: number): Point {
  const at = { i: 0, j: 0, k: 0 };
  at[cut.axis] = index;
  if (cut.right.back) at[cut.right.axis] = volume.size[cut.right.axis] - 1;
  if (cut.down.back) at[cut.down.axis] = volume.size[cut.down.axis] - 1;
  return AXES.reduce((point, axis) => add(point, scale(volume.along[axis], at[axis] * volume.step[axis])), volume.origin);
}

/** The pixels of a cut. */
export function cutPixels(volume: Volume, voxels: Voxels, cut: Cut, index: number): Voxels {
  const { columns, rows } = cut;
  const out = new (voxels.constructor as { new (length: number): Voxels })(columns * rows);
  const strides = { i: 1, j: volume.size.i, k: volume.size.i * volume.size.j };
  const base = index * strides[cut.axis];
  const place = (side: Cut['right'], dots: number) => {
    const length = volume.size[side.axis];
    const low = new Int32Array(dots);
    const high = new Int32Array(dots);
    const share = new Float32Array(dots);
    for (let at = 0; at < dots; at += 1) {
      const exact = ((side.back ? dots - 1 - at : at) * (length - 1)) / Math.max(1, dots - 1);
      const under = Math.min(length - 1, Math.floor(exact));
      low[at] = under * strides[side.axis];
      high[at] = Math.min(length - 1, under + 1) * strides[side.axis];
      share[at] = exact - under;
    }
    return { low, high, share };
  };
  const right = place(cut.right, columns);
  const down = place(cut.down, rows);
  const mixes = (side: Cut['right']) => side.axis === 'k';
  const mixRight = mixes(cut.right);
  const mixDown = mixes(cut.down);
  for (let row = 0; row < rows; row += 1) {
    const under = base + (down.low[row] as number);
    const over = base + (down.high[row] as number);
    const part = mixDown ? (down.share[row] as number) : 0;
    const to = row * columns;
    for (let column = 0; column < columns; column += 1) {
      const near = right.low[column] as number;
      let value = voxels[under + near] as number;
      if (part > 0) value += ((voxels[over + near] as number) - value) * part;
      else if (mixRight) value += ((voxels[under + (right.high[column] as number)] as number) - value) * (right.share[column] as number);
      out[to + column] = value;
    }
  }
  return out;
}
