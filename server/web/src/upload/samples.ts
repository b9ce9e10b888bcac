// Between bytes of pixel data and the grey image that the JPEG-LS coder sees (PROTOCOL 10). Every step is a bijection on any bytes.

export const GREY = 0;
export const PIXELS = 1;
export const PLANES = 2;
export const PAIRS = 3;
export type Arrangement = 0 | 1 | 2 | 3;

/** How the samples of a piece of pixel data are laid out (PS3.3 C.7.6.3). */
export interface Layout {
  /** Samples of a line that belong to one component; for pairs, pairs of pixels. */
  columns: number;
  arrangement: Arrangement;
  wide: boolean;
  bigEndian: boolean;
  /** The first and the third component are coded as differences to the second. */
  differences: boolean;
}

/** What is taken from every sample, and how many bits then remain. */
export interface Range {
  base: number;
  bits: number;
}

const SAMPLES = [1, 3, 3, 4] as const;

/** Bytes of one line over all components. */
export function lineBytes(layout: Layout): number {
  return layout.columns * SAMPLES[layout.arrangement] * (layout.wide ? 2 : 1);
}

/** Width and height of the grey image for so many lines; null beyond what JPEG-LS can say. */
export function imageOf(layout: Layout, lines: number): { width: number; height: number } | null {
  const width = layout.arrangement === PAIRS ? layout.columns * 4 : layout.columns;
  const height = layout.arrangement === PIXELS || layout.arrangement === PLANES ? lines * 3 : lines;
  return width > 0xffff || height > 0xffff ? null : { width, height };
}

/** The samples of the grey image. */
export function takeApart(layout: Layout, bytes: Uint8Array): Uint16Array {
  const raw = samplesOf(layout, bytes);
  let values = raw;
  if (layout.arrangement === PIXELS) {
    const plane = Math.floor(raw.length / 3);
    values = new Uint16Array(plane * 3);
    for (let at = 0, from = 0; at < plane; at += 1, from += 3) {
      values[at] = raw[from]!;
      values[plane + at] = raw[from + 1]!;
      values[2 * plane + at] = raw[from + 2]!;
    }
  } else if (layout.arrangement === PAIRS) {
    values = new Uint16Array(raw.length);
    forPairs(layout.columns, raw.length, (line, pair) => {
      values[line + pair.y] = raw[line + pair.at]!;
      values[line + pair.y + 1] = raw[line + pair.at + 1]!;
      values[line + pair.blue] = raw[line + pair.at + 2]!;
      values[line + pair.red] = raw[line + pair.at + 3]!;
    });
  }
  if (layout.differences) shift(layout, values, -1);
  return values;
}

/** The bytes that `takeApart` made these samples from. */
export function putTogether(layout: Layout, values: Uint16Array): Uint8Array {
  if (layout.differences) shift(layout, values, 1);
  let raw = values;
  if (layout.arrangement === PIXELS) {
    const plane = Math.floor(values.length / 3);
    raw = new Uint16Array(plane * 3);
    for (let at = 0, to = 0; at < plane; at += 1, to += 3) {
      raw[to] = values[at]!;
      raw[to + 1] = values[plane + at]!;
      raw[to + 2] = values[2 * plane + at]!;
    }
  } else if (layout.arrangement === PAIRS) {
    raw = new Uint16Array(values.length);
    forPairs(layout.columns, values.length, (line, pair) => {
      raw[line + pair.at] = values[line + pair.y]!;
      raw[line + pair.at + 1] = values[line + pair.y + 1]!;
      raw[line + pair.at + 2] = values[line + pair.blue]!;
      raw[line + pair.at + 3] = values[line + pair.red]!;
    });
  }
  return bytesOf(layout, raw);
}

/** The smallest range that holds all samples, counted as unsigned or as signed numbers; `signed` decides when both need the same. */
export function rangeOf(layout: Layout, values: Uint16Array, signed: boolean): Range {
  const flip = layout.wide ? 0x8000 : 0x80;
  let [low, high, lowSigned, highSigned] = [0xffff, 0, 0xffff, 0];
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at]!;
    const other = value ^ flip;
    if (value < low) low = value;
    if (value > high) high = value;
    if (other < lowSigned) lowSigned = other;
    if (other > highSigned) highSigned = other;
  }
  const unsignedBits = bitsFor(Math.max(0, high - low));
  const signedBits = bitsFor(Math.max(0, highSigned - lowSigned));
  const asSigned = signedBits < unsignedBits || (signedBits === unsignedBits && signed);
  return asSigned ? { base: lowSigned ^ flip, bits: signedBits } : { base: low, bits: unsignedBits };
}

/** The samples as the coder takes them: less the base, a byte each where eight bits suffice. */
export function narrow(layout: Layout, values: Uint16Array, range: Range): Uint8Array {
  const mask = layout.wide ? 0xffff : 0xff;
  const out = range.bits <= 8 ? new Uint8Array(values.length) : new Uint16Array(values.length);
  for (let at = 0; at < values.length; at += 1) out[at] = (values[at]! - range.base) & mask;
  return new Uint8Array(out.buffer);
}

/** The inverse of `narrow`. */
export function widen(layout: Layout, coded: Uint8Array, range: Range): Uint16Array {
  const mask = layout.wide ? 0xffff : 0xff;
  const narrowed = range.bits <= 8 ? coded : new Uint16Array(coded.buffer, coded.byteOffset, coded.length >> 1);
  const out = new Uint16Array(narrowed.length);
  for (let at = 0; at < narrowed.length; at += 1) out[at] = (narrowed[at]! + range.base) & mask;
  return out;
}

function bitsFor(range: number): number {
  return Math.max(2, range === 0 ? 0 : 32 - Math.clz32(range));
}

function samplesOf(layout: Layout, bytes: Uint8Array): Uint16Array {
  if (!layout.wide) return Uint16Array.from(bytes);
  const count = bytes.length >> 1;
  if (!layout.bigEndian && bytes.byteOffset % 2 === 0) {
    return new Uint16Array(bytes.buffer, bytes.byteOffset, count).slice();
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const out = new Uint16Array(count);
  for (let at = 0; at < count; at += 1) out[at] = view.getUint16(at * 2, !layout.bigEndian);
  return out;
}

function bytesOf(layout: Layout, values: Uint16Array): Uint8Array {
  if (!layout.wide) return Uint8Array.from(values);
  if (!layout.bigEndian) return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const out = new Uint8Array(values.length * 2);
  const view = new DataView(out.buffer);
  for (let at = 0; at < values.length; at += 1) view.setUint16(at * 2, values[at]!);
  return out;
}

function shift(layout: Layout, values: Uint16Array, way: 1 | -1): void {
  const mask = layout.wide ? 0xffff : 0xff;
  const half = layout.wide ? 0x8000 : 0x80;
  const plane = Math.floor(values.length / 3);
  for (let at = 0; at < plane; at += 1) {
    const second = values[plane + at]!;
    values[at] = (values[at]! + way * (second - half)) & mask;
    values[2 * plane + at] = (values[2 * plane + at]! + way * (second - half)) & mask;
  }
}

interface Pair {
  at: number;
  y: number;
  blue: number;
  red: number;
}

/** Every pair (Y, Y, Cb, Cr) of every line: where it is, and where its parts are among all Y, then all Cb, then all Cr of the line. */
function forPairs(columns: number, length: number, each: (line: number, pair: Pair) => void): void {
  const size = columns * 4;
  for (let line = 0; line + size <= length; line += size) {
    for (let pair = 0; pair < columns; pair += 1) {
      each(line, { at: pair * 4, y: pair * 2, blue: columns * 2 + pair, red: columns * 3 + pair });
    }
  }
}
