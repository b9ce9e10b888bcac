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
  /** Where each slice lies along `k`, in millimetres from the first: steps may differ. */
  places: readonly number[];
  /** Where each slice begins in the block, in pixels: they stand askew where the gantry was tilted. */
  shift: readonly { i: number; j: number }[];
  /** Every so many slices is kept; 1 unless memory is short. */
  every: number;
  frames: readonly Frame[];
}

/** Less than this is a rounding of positions, and no tilt. */
const ASKEW = 0.5;

/** How far slices begin from the first one along an axis, in pixels from the least; all zero when they stand straight. */
function shiftsOf(exact: readonly number[]): { least: number; shifts: number[]; room: number } {
  const least = Math.min(...exact);
  const extent = Math.max(...exact) - least;
  if (extent < ASKEW) return { least: 0, shifts: exact.map(() => 0), room: 0 };
  return { least, shifts: exact.map((one) => one - least), room: Math.ceil(extent) };
}

/** Describes the block of a stack; null when it is none. The stack must be in order and a volume (`isVolume`). */
export function volumeOf(id: string, frames: readonly Frame[], every = 1): Volume | null {
  const kept = frames.filter((_, at) => at % every === 0);
  const first = kept[0];
  const last = kept[kept.length - 1];
  if (kept.length < 2 || !first?.orientation || !first.position || !last?.position || !first.spacing) return null;
  const { position: begin, spacing } = first;
  const [i, j, normal] = [rowOf(first.orientation), columnOf(first.orientation), normalOf(first.orientation)];
  const across = dot(minus(last.position, begin), normal);
  const k = across >= 0 ? normal : scale(normal, -1);
  const ways = kept.map((frame) => minus(frame.position ?? begin, begin));
  const places = ways.map((way) => dot(way, k));
  if (places.some((place, at) => at > 0 && place <= (places[at - 1] as number))) return null;
  const right = shiftsOf(ways.map((way) => dot(way, i) / spacing[1]));
  const down = shiftsOf(ways.map((way) => dot(way, j) / spacing[0]));
  return {
    id,
    size: { i: first.columns + right.room, j: first.rows + down.room, k: kept.length },
    step: { i: spacing[1], j: spacing[0], k: Math.abs(across) / (kept.length - 1) },
    along: { i, j, k },
    origin: add(begin, add(scale(i, right.least * spacing[1]), scale(j, down.least * spacing[0]))),
    places,
    shift: kept.map((_, at) => ({ i: right.shifts[at] as number, j: down.shifts[at] as number })),
    every,
    frames: kept,
  };
}

/** Between a pixel and the one before it. */
const mixed = (before: number, here: number, part: number): number => here + (before - here) * part;

/** Puts the pixels of a slice into its block, moved to where they belong. */
export function putSlice(volume: Volume, voxels: Voxels, at: number, pixels: ArrayLike<number>, rows: number, columns: number): void {
  const { i: width, j: height } = volume.size;
  const { i, j } = volume.shift[at] ?? { i: 0, j: 0 };
  const base = at * width * height;
  const [left, top] = [Math.floor(i), Math.floor(j)];
  const [partX, partY] = [i - left, j - top];
  const from = (row: number, column: number) => pixels[Math.min(rows - 1, Math.max(0, row)) * columns + Math.min(columns - 1, Math.max(0, column))] as number;
  const plain = partX === 0 && partY === 0;
  if (plain && width === columns && height === rows) {
    voxels.set(pixels, base);
    return;
  }
  for (let row = 0; row < rows; row += 1) {
    const to = base + (row + top) * width + left;
    for (let column = 0; column < columns; column += 1) {
      if (plain) {
        voxels[to + column] = pixels[row * columns + column] as number;
        continue;
      }
      const above = mixed(from(row - 1, column - 1), from(row - 1, column), partX);
      const here = mixed(from(row, column - 1), from(row, column), partX);
      voxels[to + column] = here + (above - here) * partY;
    }
  }
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
  const way = (axis: Axis) => (axis === 'k' ? (volume.places[at.k] ?? 0) : at[axis] * volume.step[axis]);
  return AXES.reduce((point, axis) => add(point, scale(volume.along[axis], way(axis))), volume.origin);
}

/** Which slice lies so many millimetres along, and how far it is to the next: 2.25 is a quarter after the third. */
export function sliceAt(places: readonly number[], millimetres: number): number {
  let [low, high] = [0, places.length - 1];
  while (high - low > 1) {
    const half = (low + high) >> 1;
    if ((places[half] as number) <= millimetres) low = half;
    else high = half;
  }
  const [from, to] = [places[low] as number, places[high] as number];
  return to > from ? low + Math.min(1, Math.max(0, (millimetres - from) / (to - from))) : low;
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
    const whole = volume.places[length - 1] ?? 0;
    for (let at = 0; at < dots; at += 1) {
      const step = side.back ? dots - 1 - at : at;
      const end = Math.max(1, dots - 1);
      const exact = side.axis === 'k' ? sliceAt(volume.places, (step * whole) / end) : (step * (length - 1)) / end;
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
