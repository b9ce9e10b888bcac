// What the head of a file says: whether it is DICOM, what it is about, where its data set and its pixels are. Reads as little as
// needed, is bounded in everything, and never throws for what a file contains.
import { Texts } from './charset';
import type { PixelFacts } from './plan';

/** Bytes of a file, read where they are wanted. */
export interface Readable {
  readonly size: number;
  /** The bytes from `from` on, up to `count` of them. */
  read(from: number, count: number): Promise<Uint8Array>;
}

/** A patient as the images name them. */
export interface Patient {
  /** As written: groups by `=`, parts by `^`. */
  name: string;
  id: string;
  birthDate: string;
  sex: string;
  age: string;
}

/** One instance. */
export interface Facts {
  sop: string;
  sopClass: string;
  syntax: string;
  study: string;
  series: string;
  patient: Patient;
  /** Character set declared and whether the text had to be guessed. */
  guessed: boolean;
  studyDate: string;
  studyTime: string;
  description: string;
  accession: string;
  modality: string;
  bodyPart: string;
  seriesNumber: number;
  seriesDescription: string;
  instance: number;
  frames: number;
  /** Where the data set begins in the file, and its length. */
  start: number;
  bytes: number;
  /** The pixels: uncompressed ones with their facts, `encapsulated` ones, or none. */
  pixels: PixelFacts | 'encapsulated' | null;
  bitsStored: number;
  window: { centre: number; width: number } | null;
  slope: number;
  intercept: number;
}

/** Why a file is left out. */
export type Skip = 'notDicom' | 'directory' | 'damaged' | 'noIdentity' | 'unreadable' | 'tooLarge' | 'locked';

const PREAMBLE = 128;
const HEAD_BYTES = 24 * 1024;
const LOAD_BYTES = 128 * 1024;
const MAX_FRONT = 64 * 1024;
const MAX_LOADS = 200;
const MAX_ELEMENTS = 200_000;
const MAX_DEPTH = 64;
const MAX_TEXT = 32 * 1024;
const MAX_INFLATED = 4 << 20;
const IMPLICIT = '1.2.840.10008.1.2';
const EXPLICIT = '1.2.840.10008.1.2.1';
const DEFLATED = new Set(['1.2.840.10008.1.2.1.99', '1.2.840.10008.1.2.4.95', '1.2.840.10008.1.2.4.205']);
const BIG = '1.2.840.10008.1.2.2';
const DICOMDIR = '1.2.840.10008.1.3.10';
const UID = /^[0-9.]{1,64}$/;
const LONG = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV']);
const UNDEFINED = 0xffffffff;
const PIXEL_DATA = 0x7fe00010;

const WANTED = new Set([
  0x00080005, 0x00080016, 0x00080018, 0x00080020, 0x00080030, 0x00080050, 0x00080060, 0x00081030, 0x0008103e, 0x00100010, 0x00100020,
  0x00100030, 0x00100040, 0x00101010, 0x00180015, 0x0020000d, 0x0020000e, 0x00200011, 0x00200013, 0x00280002, 0x00280004, 0x00280006,
  0x00280008, 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280103, 0x00281050, 0x00281051, 0x00281052, 0x00281053,
]);

class Damaged extends Error {}

/** A window on a file that moves forward as it is read. */
class Head {
  private bytes: Uint8Array = new Uint8Array(0);
  private base = 0;
  private loads = 0;
  private view: DataView = new DataView(new ArrayBuffer(0));

  constructor(
    private readonly file: Readable,
    /** Where what is read ends. */
    readonly end: number,
  ) {}

  /** Sees that `count` bytes at `at` are here; false at the end. Waits only when the window has to move. */
  ensure(at: number, count: number): boolean | Promise<boolean> {
    if (at >= this.base && at + count <= this.base + this.bytes.length) return true;
    return at + count <= this.end ? this.load(at, count) : false;
  }

  private async load(at: number, count: number): Promise<boolean> {
    this.loads += 1;
    if (this.loads > MAX_LOADS) throw new Damaged();
    const most = this.loads === 1 ? HEAD_BYTES : LOAD_BYTES;
    this.bytes = await this.file.read(at, Math.min(Math.max(count, most), this.end - at));
    this.base = at;
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    return this.bytes.length >= count;
  }

  u16(at: number, little: boolean): number {
    return this.view.getUint16(at - this.base, little);
  }

  u32(at: number, little: boolean): number {
    return this.view.getUint32(at - this.base, little);
  }

  slice(at: number, count: number): Uint8Array {
    return this.bytes.slice(at - this.base, at - this.base + count);
  }

  letters(at: number, count: number): string {
    return String.fromCharCode(...this.slice(at, count));
  }
}

/** Reads the head of a file. */
export async function parse(file: Readable): Promise<Facts | Skip> {
  try {
    return await parseFile(file);
  } catch (error) {
    return error instanceof Damaged || error instanceof RangeError ? 'damaged' : 'unreadable';
  }
}

async function parseFile(file: Readable): Promise<Facts | Skip> {
  if (file.size < 16) return 'notDicom';
  const head = new Head(file, file.size);
  const front = await readFront(head);
  if (!front) return 'notDicom';
  if (front.sopClass === DICOMDIR) return 'directory';
  const bytes = file.size - front.start;
  let walked: Walked;
  if (DEFLATED.has(front.syntax)) {
    const inflated = await inflate(file, front.start);
    const memory = { size: inflated.length, read: async (from: number, count: number) => inflated.subarray(from, from + count) };
    walked = await walk(new Head(memory, inflated.length), 0, { explicit: true, little: true, partial: true });
    walked.pixels = null;
  } else {
    const explicit = front.syntax !== IMPLICIT;
    walked = await walk(head, front.start, { explicit, little: front.syntax !== BIG, partial: false });
  }
  return factsOf(front, walked, bytes);
}

interface Front {
  start: number;
  syntax: string;
  sopClass: string;
  found: boolean;
}

/** Preamble and file meta group (PS3.10 7.1), or the first element of a bare data set. */
async function readFront(head: Head): Promise<Front | null> {
  if (!(await head.ensure(0, Math.min(head.end, PREAMBLE + 4)))) return null;
  const at = head.end >= PREAMBLE + 4 && head.letters(PREAMBLE, 4) === 'DICM' ? PREAMBLE + 4 : head.letters(0, 4) === 'DICM' ? 4 : 0;
  const front: Front = { start: at, syntax: '', sopClass: '', found: at > 0 };
  while (await head.ensure(front.start, 8)) {
    if (head.u16(front.start, true) !== 2) break;
    const element = head.u16(front.start + 2, true);
    const vr = head.letters(front.start + 4, 2);
    let [value, length] = [front.start + 8, 0];
    if (!/^[A-Z]{2}$/.test(vr)) length = head.u32(front.start + 4, true);
    else if (!LONG.has(vr)) length = head.u16(front.start + 6, true);
    else if (await head.ensure(front.start, 12)) {
      length = head.u32(front.start + 8, true);
      value += 4;
    } else throw new Damaged();
    if (length > MAX_FRONT || value + length > at + MAX_FRONT) throw new Damaged();
    if (!(await head.ensure(front.start, value - front.start + length))) throw new Damaged();
    const text = clean(head.letters(value, Math.min(length, 128)));
    if (element === 0x0010) front.syntax = text;
    if (element === 0x0002) front.sopClass = text;
    front.start = value + length;
  }
  if (UID.test(front.syntax)) return front;
  const judged = (await head.ensure(front.start, 8)) ? judge(head, front.start) : null;
  if (!judged) return null;
  front.syntax = judged;
  return front;
}

/** The transfer syntax of a bare data set by its first element; anything else is not DICOM. */
function judge(head: Head, at: number): string | null {
  const explicit = /^[A-Z]{2}$/.test(head.letters(at + 4, 2));
  const usual = (group: number) => group >= 0x0004 && group <= 0x0010;
  if (usual(head.u16(at, true))) {
    if (explicit) return EXPLICIT;
    return head.u32(at + 4, true) <= 0xffff ? IMPLICIT : null;
  }
  return explicit && usual(head.u16(at, false)) ? BIG : null;
}

interface Way {
  explicit: boolean;
  little: boolean;
  /** What is there is only the beginning: its end is no damage. */
  partial: boolean;
}

interface Walked {
  values: Map<number, Uint8Array>;
  pixels: { start: number; length: number | null } | null;
  little: boolean;
}

interface Element {
  tag: number;
  vr: string;
  value: number;
  length: number;
}

async function element(head: Head, at: number, way: Way): Promise<Element | null> {
  if (!(await head.ensure(at, Math.min(12, head.end - at))) || head.end - at < 8) return null;
  const tag = head.u16(at, way.little) * 0x10000 + head.u16(at + 2, way.little);
  if (tag >= 0xfffee000 && tag <= 0xfffeffff) return { tag, vr: '', value: at + 8, length: head.u32(at + 4, way.little) };
  if (!way.explicit) return { tag, vr: '', value: at + 8, length: head.u32(at + 4, way.little) };
  const vr = head.letters(at + 4, 2);
  if (!/^[A-Z]{2}$/.test(vr)) throw new Damaged();
  if (!LONG.has(vr)) return { tag, vr, value: at + 8, length: head.u16(at + 6, way.little) };
  if (head.end - at < 12) return null;
  return { tag, vr, value: at + 12, length: head.u32(at + 8, way.little) };
}

/** Walks the top level up to the pixels; what is in sequences is passed over. */
async function walk(head: Head, from: number, way: Way): Promise<Walked> {
  const walked: Walked = { values: new Map(), pixels: null, little: way.little };
  let at = from;
  let count = 0;
  while (at < head.end) {
    count += 1;
    if (count > MAX_ELEMENTS) throw new Damaged();
    const one = await element(head, at, way);
    if (!one) {
      if (way.partial) break;
      throw new Damaged();
    }
    if (one.tag === PIXEL_DATA) {
      walked.pixels = { start: one.value - from, length: one.length === UNDEFINED ? null : one.length };
      if (one.length !== UNDEFINED && one.value + one.length > head.end && !way.partial) throw new Damaged();
      break;
    }
    if (one.tag > PIXEL_DATA) break;
    if (one.length === UNDEFINED) {
      at = await behind(head, one, way);
      continue;
    }
    if (one.value + one.length > head.end) {
      if (way.partial) break;
      throw new Damaged();
    }
    if (WANTED.has(one.tag) && one.length <= MAX_TEXT && !walked.values.has(one.tag)) {
      if (!(await head.ensure(one.value, one.length))) throw new Damaged();
      walked.values.set(one.tag, head.slice(one.value, one.length));
    }
    at = one.value + one.length;
  }
  return walked;
}

/** Where a sequence of undefined length ends. Iterative: nothing a file says can exhaust the stack. */
async function behind(head: Head, sequence: Element, way: Way): Promise<number> {
  if (way.explicit && sequence.vr !== 'SQ' && sequence.vr !== 'UN') throw new Damaged();
  // Within an unknown value of undefined length everything is implicit little endian (PS3.5 6.2.2).
  const inner: Way = sequence.vr === 'UN' ? { ...way, explicit: false, little: true } : way;
  const open: ('sequence' | 'item')[] = ['sequence'];
  let at = sequence.value;
  for (let count = 0; count < MAX_ELEMENTS; count += 1) {
    const one = await element(head, at, inner);
    if (!one) throw new Damaged();
    const level = open[open.length - 1];
    if (one.tag === 0xfffee0dd && level === 'sequence') {
      open.pop();
      at = one.value;
      if (open.length === 0) return at;
    } else if (one.tag === 0xfffee00d && level === 'item') {
      open.pop();
      at = one.value;
    } else if (one.tag === 0xfffee000 && level === 'sequence') {
      if (one.length === UNDEFINED) open.push('item');
      at = one.length === UNDEFINED ? one.value : one.value + one.length;
    } else if (level === 'item' && one.tag < 0xfffe0000) {
      if (one.length === UNDEFINED) open.push('sequence');
      at = one.length === UNDEFINED ? one.value : one.value + one.length;
    } else {
      throw new Damaged();
    }
    if (open.length > MAX_DEPTH || at > head.end) throw new Damaged();
  }
  throw new Damaged();
}

/** The beginning of a deflated data set (PS3.5 A.5), at most so much of it as can matter. */
async function inflate(file: Readable, start: number): Promise<Uint8Array> {
  const packed = await file.read(start, Math.min(file.size - start, 2 << 20));
  const reader = new Blob([packed as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream('deflate-raw')).getReader();
  const parts: Uint8Array[] = [];
  let total = 0;
  try {
    while (total < MAX_INFLATED) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      total += value.length;
    }
  } catch {
    // The stream was cut off by us, or is damaged: what came out is judged.
  }
  void reader.cancel().catch(() => undefined);
  const whole = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function clean(text: string): string {
  return text.replace(/[\0 ]+$/, '').trimStart();
}

function factsOf(front: Front, walked: Walked, bytes: number): Facts | Skip {
  const { values, little } = walked;
  const latin = (tag: number) => clean(String.fromCharCode(...(values.get(tag) ?? [])));
  const texts = [0x00100010, 0x00081030, 0x0008103e, 0x00100020].map((tag) => values.get(tag)).filter((value) => value !== undefined);
  const decoder = new Texts(latin(0x00080005), texts);
  const text = (tag: number) => clean(decoder.decode(values.get(tag) ?? new Uint8Array(0)));
  const number = (tag: number) => {
    const value = values.get(tag);
    return value?.length === 2 ? new DataView(value.buffer, value.byteOffset).getUint16(0, little) : 0;
  };
  const decimal = (tag: number, otherwise: number) => {
    const value = Number.parseFloat(latin(tag).split('\\')[0] ?? '');
    return Number.isFinite(value) ? value : otherwise;
  };
  const [sop, sopClass, study, series] = [latin(0x00080018), latin(0x00080016), latin(0x0020000d), latin(0x0020000e)];
  if (sopClass === DICOMDIR) return 'directory';
  if (![sop, sopClass, study, series].every((uid) => UID.test(uid))) return front.found || values.size > 3 ? 'noIdentity' : 'notDicom';
  const [centre, width] = [decimal(0x00281050, NaN), decimal(0x00281051, NaN)];
  return {
    sop, sopClass, study, series, bytes,
    syntax: front.syntax,
    start: front.start,
    patient: { name: text(0x00100010), id: text(0x00100020), birthDate: latin(0x00100030).slice(0, 8), sex: latin(0x00100040), age: latin(0x00101010) },
    guessed: decoder.guessed,
    studyDate: latin(0x00080020).replaceAll('.', '').slice(0, 8),
    studyTime: latin(0x00080030).slice(0, 6),
    description: text(0x00081030),
    accession: text(0x00080050),
    modality: latin(0x00080060),
    bodyPart: latin(0x00180015),
    seriesNumber: decimal(0x00200011, 0),
    seriesDescription: text(0x0008103e),
    instance: decimal(0x00200013, 0),
    frames: Math.max(1, decimal(0x00280008, 1)),
    pixels: pixelsOf(walked, number, latin),
    bitsStored: number(0x00280101),
    window: Number.isFinite(centre) && width > 0 ? { centre, width } : null,
    slope: decimal(0x00281053, 1) || 1,
    intercept: decimal(0x00281052, 0),
  };
}

function pixelsOf(walked: Walked, number: (tag: number) => number, latin: (tag: number) => string): Facts['pixels'] {
  const { pixels } = walked;
  if (!pixels) return null;
  if (pixels.length === null) return 'encapsulated';
  return {
    start: pixels.start,
    length: pixels.length,
    rows: number(0x00280010),
    columns: number(0x00280011),
    bitsAllocated: number(0x00280100),
    samples: number(0x00280002) || 1,
    planar: number(0x00280006) === 1,
    photometric: latin(0x00280004),
    signed: number(0x00280103) === 1,
    bigEndian: !walked.little,
  };
}
