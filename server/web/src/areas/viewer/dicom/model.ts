// A study as the viewer sees it: series, and in them stacks (what one pane shows), made from the metadata of the relay.
import type { Point } from '../types';

import { inOrder, type Six } from './geometry';
import { number, numbers, sequence, text, type Attributes } from './json';

/** Where lengths on an image come from. */
export type Calibration = 'calibrated' | 'detector' | 'none';

export interface Frame {
  imageId: string;
  study: string;
  series: string;
  sop: string;
  /** From 1, as DICOM counts. */
  frame: number;
  number: number;
  position: Point | null;
  orientation: Six | null;
  spacing: [number, number] | null;
  calibration: Calibration;
  thickness: number | null;
  rows: number;
  columns: number;
  /** The functional groups of this frame in an enhanced object. */
  groups: Attributes[];
  set: Attributes;
}

export type StackKind = 'images' | 'clip' | 'ecg' | 'document' | 'unknown';

export interface Stack {
  /** The series, or `series/sop` for what stands alone. */
  id: string;
  study: string;
  series: string;
  prior: boolean;
  kind: StackKind;
  modality: string;
  description: string;
  protocol: string;
  bodyPart: string;
  laterality: string;
  view: string;
  seriesNumber: number;
  frameOfReference: string | null;
  frames: Frame[];
  /** How many images there will be, while the metadata is under way. */
  expected: number;
  /** Whether everything is known about it. */
  known: boolean;
  /** Pictures per second, as the clip itself asks. */
  rate: number;
  /** For documents and waveforms: the object. */
  object: Attributes | null;
}

const SPLIT = new Set(['CR', 'DX', 'MG', 'IO', 'PX', 'RG']);
const WAVEFORM = '1.2.840.10008.5.1.4.1.1.9.';
const PDF = '1.2.840.10008.5.1.4.1.1.104.';
const SR = '1.2.840.10008.5.1.4.1.1.88.';

/** The address of an object of the relay. */
export function instancePath(study: string, series: string, sop: string): string {
  return `/dicomweb/studies/${study}/series/${series}/instances/${sop}`;
}

/** The name of an image in the viewer: the address of its frame, with a scheme of our own. */
export function imageIdOf(study: string, series: string, sop: string, frame: number): string {
  return `medrelay:${instancePath(study, series, sop)}/frames/${frame}`;
}

function six(values: number[]): Six | null {
  return values.length === 6 ? (values as Six) : null;
}

function three(values: number[]): Point | null {
  return values.length === 3 ? (values as Point) : null;
}

function pair(values: number[]): [number, number] | null {
  const [row, column] = values;
  return row !== undefined && column !== undefined && row > 0 && column > 0 ? [row, column] : null;
}

/** Looks in the frame's functional groups first, then in the object. */
export function inFrame(frame: Pick<Frame, 'groups' | 'set'>, group: string, tag: string): number[] {
  for (const groups of frame.groups) {
    const found = numbers(sequence(groups, group)[0], tag);
    if (found.length > 0) return found;
  }
  return numbers(frame.set, tag);
}

function spacingOf(frame: Pick<Frame, 'groups' | 'set'>): { spacing: [number, number] | null; calibration: Calibration } {
  const plain = pair(inFrame(frame, '00289110', '00280030'));
  if (plain) return { spacing: plain, calibration: calibrationOf(frame.set, plain) };
  const detector = pair(numbers(frame.set, '00181164'));
  if (detector) return { spacing: detector, calibration: 'detector' };
  return { spacing: null, calibration: 'none' };
}

function isProjection(set: Attributes): boolean {
  return SPLIT.has(text(set, '00080060') ?? '') || text(set, '00080060') === 'XA';
}

/** Pixel spacing that only repeats the detector's was never corrected for magnification. */
function calibrationOf(set: Attributes, spacing: [number, number]): Calibration {
  const detector = pair(numbers(set, '00181164'));
  if (!detector || !isProjection(set)) return 'calibrated';
  const same = Math.abs(detector[0] - spacing[0]) < 1e-6 && Math.abs(detector[1] - spacing[1]) < 1e-6;
  return same && text(set, '00280A02') === null ? 'detector' : 'calibrated';
}

/** The frames of one object. */
export function framesOf(set: Attributes): Frame[] {
  const study = text(set, '0020000D') ?? '';
  const series = text(set, '0020000E') ?? '';
  const sop = text(set, '00080018') ?? '';
  const rows = number(set, '00280010') ?? 0;
  const columns = number(set, '00280011') ?? 0;
  if (!study || !series || !sop || rows === 0 || columns === 0) return [];
  const shared = sequence(set, '52009229')[0];
  const each = sequence(set, '52009230');
  const count = Math.max(1, number(set, '00280008') ?? 1);
  return Array.from({ length: count }, (_, at) => {
    const groups = [each[at], shared].filter((found): found is Attributes => found !== undefined);
    const base = { groups, set };
    return {
      imageId: imageIdOf(study, series, sop, at + 1),
      study,
      series,
      sop,
      frame: at + 1,
      number: (number(set, '00200013') ?? 0) * 10_000 + at,
      position: three(inFrame(base, '00209113', '00200032')),
      orientation: six(inFrame(base, '00209116', '00200037')),
      ...spacingOf(base),
      thickness: inFrame(base, '00289110', '00180050')[0] ?? null,
      rows,
      columns,
      ...base,
    };
  });
}

function kindOf(set: Attributes, frames: Frame[]): StackKind {
  const sopClass = text(set, '00080016') ?? '';
  if (sopClass.startsWith(WAVEFORM)) return 'ecg';
  if (sopClass.startsWith(PDF) || sopClass.startsWith(SR)) return 'document';
  if (frames.length === 0) return 'unknown';
  const placed = frames[0]?.position !== null && frames.length > 1;
  return frames.length > 1 && !placed ? 'clip' : 'images';
}

/** What a series in a list of series says before its metadata is there. */
export function provisional(study: string, prior: boolean, set: Attributes): Stack {
  const series = text(set, '0020000E') ?? '';
  return {
    ...said(set),
    id: series,
    study,
    series,
    prior,
    kind: 'images',
    frames: [],
    expected: number(set, '00201209') ?? 0,
    known: false,
    rate: 0,
    object: null,
  };
}

function said(set: Attributes) {
  const view = sequence(set, '00540220')[0];
  return {
    modality: text(set, '00080060') ?? '',
    description: text(set, '0008103E') ?? '',
    protocol: text(set, '00181030') ?? '',
    bodyPart: text(set, '00180015') ?? '',
    laterality: text(set, '00200062') ?? text(set, '00200060') ?? '',
    view: text(set, '00185101') ?? text(view, '00080104') ?? '',
    seriesNumber: number(set, '00200011') ?? 0,
    frameOfReference: text(set, '00200052'),
  };
}

function rateOf(set: Attributes): number {
  const asked = number(set, '00082144') ?? number(set, '00180040');
  const time = number(set, '00181063');
  const rate = asked && asked > 0 ? asked : time && time > 0 ? 1000 / time : 0;
  return rate > 0 ? Math.min(60, Math.max(1, rate)) : 0;
}

/** The stacks of a series whose metadata is there. */
export function stacksOf(study: string, prior: boolean, sets: readonly Attributes[]): Stack[] {
  const stacks: Stack[] = [];
  const together: { set: Attributes; frames: Frame[] }[] = [];
  for (const set of sets) {
    const frames = framesOf(set);
    const kind = kindOf(set, frames);
    const series = text(set, '0020000E') ?? '';
    const alone = kind !== 'images' || frames.length > 1 || SPLIT.has(text(set, '00080060') ?? '');
    if (!alone) {
      together.push({ set, frames });
      continue;
    }
    const sop = text(set, '00080018') ?? '';
    stacks.push({
      ...said(set),
      id: `${series}/${sop}`,
      study,
      series,
      prior,
      kind,
      frames: frames.length > 1 && kind === 'images' ? inOrder(frames) : frames,
      expected: Math.max(1, frames.length),
      known: true,
      rate: rateOf(set),
      object: kind === 'images' || kind === 'clip' ? null : set,
    });
  }
  const first = together[0];
  if (first) {
    const frames = inOrder(together.flatMap((one) => one.frames));
    const series = text(first.set, '0020000E') ?? '';
    stacks.unshift({
      ...said(first.set), id: series, study, series, prior, kind: 'images', frames, expected: frames.length, known: true, rate: rateOf(first.set), object: null,
    });
  }
  return stacks.sort((a, b) => (a.frames[0]?.number ?? 0) - (b.frames[0]?.number ?? 0));
}
