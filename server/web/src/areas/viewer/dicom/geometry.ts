// Where images are in space: normals, order of a stack, letters of orientation, nearest slices. Pure.
import type { Point } from '../types';

export type Six = [number, number, number, number, number, number];

export const dot = (a: Point, b: Point): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const cross = (a: Point, b: Point): Point => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
export const scale = (a: Point, by: number): Point => [a[0] * by, a[1] * by, a[2] * by];
export const add = (a: Point, b: Point): Point => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const minus = (a: Point, b: Point): Point => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const length = (a: Point): number => Math.sqrt(dot(a, a));

export function rowOf(orientation: Six): Point {
  return [orientation[0], orientation[1], orientation[2]];
}

export function columnOf(orientation: Six): Point {
  return [orientation[3], orientation[4], orientation[5]];
}

/** The direction out of the plane of an image. */
export function normalOf(orientation: Six): Point {
  return cross(rowOf(orientation), columnOf(orientation));
}

/** Whether two images lie in parallel planes. */
export function parallel(a: Six, b: Six): boolean {
  return Math.abs(dot(normalOf(a), normalOf(b))) > 0.999 && dot(rowOf(a), rowOf(b)) > 0.99;
}

/** Letters of a direction, the strongest first: `L`, `LP`, `HL`. */
export function lettersOf(direction: Point): string {
  const axes: [number, string][] = [
    [direction[0], direction[0] < 0 ? 'R' : 'L'],
    [direction[1], direction[1] < 0 ? 'A' : 'P'],
    [direction[2], direction[2] < 0 ? 'F' : 'H'],
  ];
  return axes
    .filter(([part]) => Math.abs(part) > 0.2)
    .sort((a, b) => Math.abs(b[0]) - Math.abs(a[0]))
    .slice(0, 2)
    .map(([, letter]) => letter)
    .join('');
}

export type Plane = 'axial' | 'coronal' | 'sagittal';

/** Which plane an orientation comes nearest to. */
export function planeOf(orientation: Six | null): Plane | null {
  if (!orientation) return null;
  const normal = normalOf(orientation).map(Math.abs) as Point;
  const most = normal.indexOf(Math.max(...normal));
  return most === 0 ? 'sagittal' : most === 1 ? 'coronal' : 'axial';
}

export interface Placed {
  position: Point | null;
  orientation: Six | null;
  number: number;
}

const middleOf = (steps: readonly number[]): number => [...steps].sort((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
/** A gap so many steps wide is no volume any more: too much would be made up. */
const GAP = 3;

/** Whether images make one volume: parallel, all at different places along their normal, without gaps. */
export function isVolume(images: readonly Placed[]): boolean {
  const steps = stepsOf(images);
  if (!steps || steps.length < 3) return false;
  const middle = middleOf(steps);
  return steps.every((step) => step > 0.01 && step <= middle * GAP);
}

/** Whether the images of a volume follow each other in even steps. */
export function isEven(images: readonly Placed[]): boolean {
  const steps = stepsOf(images) ?? [];
  const middle = middleOf(steps);
  return steps.every((step) => Math.abs(step - middle) < Math.max(0.1, middle * 0.1));
}

/** Distances between neighbours along the normal; null where there is none. */
export function stepsOf(images: readonly Placed[]): number[] | null {
  const first = images[0]?.orientation;
  if (!first || !images.every((image) => image.orientation && image.position && parallel(first, image.orientation))) return null;
  const normal = normalOf(first);
  const along = images.map((image) => dot(image.position as Point, normal)).sort((a, b) => a - b);
  return along.slice(1).map((value, at) => value - (along[at] ?? value));
}

/** The order in which a stack is read: along its normal, in the direction of the instance numbers; else by number. */
export function inOrder<T extends Placed>(images: readonly T[]): T[] {
  const byNumber = [...images].sort((a, b) => a.number - b.number);
  const first = byNumber[0]?.orientation;
  if (!first || !byNumber.every((image) => image.position && image.orientation && parallel(first, image.orientation))) return byNumber;
  const normal = normalOf(first);
  const along = (image: T) => dot(image.position as Point, normal);
  const places = new Set(byNumber.map((image) => along(image).toFixed(2)));
  // Phases or echoes at the same places: their numbers tell the order.
  if (places.size < byNumber.length) return byNumber;
  const last = byNumber[byNumber.length - 1] as T;
  const sign = along(last) >= along(byNumber[0] as T) ? 1 : -1;
  return byNumber.sort((a, b) => sign * (along(a) - along(b)));
}

/** The index of the image nearest to a point along the stack's normal, and how far that is in millimetres. */
export function nearestIndex(images: readonly Placed[], point: Point): { index: number; distance: number } | null {
  let best: { index: number; distance: number } | null = null;
  images.forEach((image, index) => {
    if (!image.position || !image.orientation) return;
    const distance = Math.abs(dot(minus(point, image.position), normalOf(image.orientation)));
    if (!best || distance < best.distance) best = { index, distance };
  });
  return best;
}

/** A length on the screen of a round number of millimetres, about a quarter of the height. */
export function scaleBar(pixelsPerMillimetre: number, height: number): { millimetres: number; pixels: number } | null {
  if (!(pixelsPerMillimetre > 0) || !(height > 0)) return null;
  const wanted = height / 4 / pixelsPerMillimetre;
  const fitting = [1, 2, 5, 10, 20, 50, 100, 200].filter((step) => step <= wanted);
  const millimetres = fitting[fitting.length - 1];
  return millimetres === undefined ? null : { millimetres, pixels: millimetres * pixelsPerMillimetre };
}
