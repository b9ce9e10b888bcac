// From a data set to a pack and back (PROTOCOL 10): cut, coded, proved by decoding, written in order. The same bytes and plan give
// the same pack every time, so that an upload goes on after a crash with a pack that is made again.
import { PIECE_BYTES } from './codes';
import type { Codecs, Image } from './codecs';
import { Violation } from './fields';
import { cutAt, type Plan } from './plan';
import { equal } from './progress';
import { imageOf, type Layout, lineBytes, narrow, PIXELS, PLANES, putTogether, type Range, rangeOf, takeApart, widen } from './samples';
import { Sha256 } from './sha256';

const FRONT = Uint8Array.of(0x4d, 0x52, 0x50, 0x4b, 1);
const HASH_BYTES = 32;
const STRIP_BYTES = 9;
/** Bytes of a head beyond that of a raw segment, at most. */
const HEAD_BYTES = 16;
/** How much smaller than the original JPEG-LS makes only what is not a photograph. */
const DRAWN = 8;
const RAW = 1;
const ZSTD = 2;
const JPEG_LS = 3;

/** Gives the next bytes of the original, as many as asked for unless it ends. */
export type Source = (bytes: number) => Promise<Uint8Array> | Uint8Array;

/** What a pack has become. */
export interface Summary {
  originalBytes: number;
  originalSha256: Uint8Array;
  packedBytes: number;
  packedSha256: Uint8Array;
}

/** Packs the data set that `original` gives, handing the pack to `out` piece by piece. */
export async function pack(codecs: Codecs, plan: Plan | null, original: Source, out: (bytes: Uint8Array) => void): Promise<Summary> {
  const [originalHash, packHash] = [new Sha256(), new Sha256()];
  let [offset, packed] = [0, 0];
  const put = (bytes: Uint8Array) => {
    packHash.update(bytes);
    packed += bytes.length;
    out(bytes);
  };
  put(FRONT);
  for (;;) {
    const cut = cutAt(plan, offset);
    const bytes = await original(cut.bytes);
    if (bytes.length === 0) break;
    originalHash.update(bytes);
    offset += bytes.length;
    const lines = plan && bytes.length === cut.bytes ? cut.lines : 0;
    const segment = code(codecs, bytes, plan, lines);
    put(segment.head);
    put(segment.body);
  }
  const originalSha256 = originalHash.digest();
  put(head(0, offset, HASH_BYTES));
  put(originalSha256);
  return { originalBytes: offset, originalSha256, packedBytes: packed, packedSha256: packHash.digest() };
}

interface Segment {
  head: Uint8Array;
  body: Uint8Array;
}

/** The smallest form that gives the same bytes again. */
function code(codecs: Codecs, bytes: Uint8Array, plan: Plan | null, lines: number): Segment {
  const image = plan && lines > 0 ? jpegLs(codecs, bytes, plan, lines) : null;
  // Drawings, masks and empty frames are better served by zstd; photographs never.
  const drawn = !image || image.body.length < Math.floor(bytes.length / DRAWN);
  const plain = drawn ? zstd(codecs, bytes) : null;
  if (image && !(plain && plain.length < image.body.length)) return image;
  if (plain) return { head: head(ZSTD, bytes.length, plain.length), body: plain };
  return { head: head(RAW, bytes.length, bytes.length), body: bytes };
}

/** Lines of pixels as JPEG-LS, if they come back the same and are smaller. */
function jpegLs(codecs: Codecs, bytes: Uint8Array, plan: Plan, lines: number): Segment | null {
  const { layout } = plan;
  const values = takeApart(layout, bytes);
  const range = rangeOf(layout, values, plan.signed);
  const size = imageOf(layout, lines);
  if (!size) return null;
  const image = { ...size, bits: range.bits };
  const body = codecs.encodeJpegLs(image, narrow(layout, values, range));
  if (!body || body.length + HEAD_BYTES >= bytes.length) return null;
  const again = restore(codecs, body, image, layout, range);
  if (!again || !equal(again, bytes)) return null;
  return { head: stripHead(bytes.length, body.length, layout, lines, range), body };
}

function restore(codecs: Codecs, stream: Uint8Array, image: Image, layout: Layout, range: Range): Uint8Array | null {
  if (!isOf(stream, image)) return null;
  const decoded = codecs.decodeJpegLs(stream);
  if (!decoded || decoded.components !== 1 || decoded.samples.length !== image.width * image.height * (image.bits <= 8 ? 1 : 2)) return null;
  return putTogether(layout, widen(layout, decoded.samples, range));
}

/** Any bytes as a zstd frame, if they come back the same and are smaller. */
function zstd(codecs: Codecs, bytes: Uint8Array): Uint8Array | null {
  const frame = codecs.compress(bytes);
  if (!frame || frame.length >= bytes.length) return null;
  const again = codecs.decompress(frame);
  return again && equal(again, bytes) ? frame : null;
}

/** Whether a stream begins with exactly the segments that the format wants (ISO/IEC 14495-1 C.2) and ends as it must. */
function isOf(stream: Uint8Array, image: Image): boolean {
  const { width, height, bits } = image;
  const front = [0xff, 0xd8, 0xff, 0xf7, 0, 11, bits, height >> 8, height & 0xff, width >> 8, width & 0xff, 1, 1, 0x11, 0];
  if (bits > 12) {
    const greatest = 2 ** bits - 1;
    front.push(0xff, 0xf8, 0, 13, 1, greatest >> 8, greatest & 0xff);
    for (const parameter of [18, 67, 276, 64]) front.push(parameter >> 8, parameter & 0xff);
  }
  front.push(0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0);
  const ends = stream[stream.length - 2] === 0xff && stream[stream.length - 1] === 0xd9;
  return ends && front.every((byte, at) => stream[at] === byte);
}

/** LEB128: seven bits a byte, the least significant first, the top bit on all but the last. */
function number(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return bytes;
}

function head(kind: number, original: number, coded: number): Uint8Array {
  return Uint8Array.from([kind, ...number(original), ...number(coded)]);
}

function stripHead(original: number, coded: number, layout: Layout, lines: number, range: Range): Uint8Array {
  const flags = (layout.wide ? 1 : 0) | (layout.bigEndian ? 2 : 0) | (layout.differences ? 4 : 0);
  const { columns, arrangement } = layout;
  const strip = [columns >> 8, columns & 0xff, lines >> 8, lines & 0xff, arrangement, flags, range.bits, range.base >> 8, range.base & 0xff];
  return Uint8Array.from([JPEG_LS, ...number(original), ...number(coded), ...strip]);
}

/** The data set that a whole pack holds. Refuses what a receiver must refuse. */
export function unpack(codecs: Codecs, packed: Uint8Array, most: number): Uint8Array {
  let at = FRONT.length;
  if (!equal(packed.subarray(0, at), FRONT)) throw new Violation('not a pack of a known version');
  const byte = () => {
    const value = packed[at];
    if (value === undefined) throw new Violation('pack ends too early');
    at += 1;
    return value;
  };
  const takeNumber = () => {
    let [value, scale] = [0, 1];
    for (;;) {
      const next = byte();
      value += (next & 0x7f) * scale;
      if (value > Number.MAX_SAFE_INTEGER) throw new Violation('segment header is malformed');
      if (next < 0x80) {
        if (next === 0 && scale > 1) throw new Violation('segment header is malformed');
        return value;
      }
      scale *= 0x80;
    }
  };
  const parts: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const [kind, original, coded] = [byte(), takeNumber(), takeNumber()];
    if (kind === 0) {
      if (original !== total || coded !== HASH_BYTES) throw new Violation('wrong length');
      break;
    }
    if (original < 1 || original > PIECE_BYTES || total + original > most) throw new Violation('segment or object too large');
    const strip = kind === JPEG_LS ? readStrip(packed.subarray(at, at + STRIP_BYTES), original) : null;
    if (kind > JPEG_LS || (kind === JPEG_LS && !strip) || coded > original || (coded === original) !== (kind === RAW)) {
      throw new Violation('segment header is malformed');
    }
    if (strip) at += STRIP_BYTES;
    const body = packed.subarray(at, at + coded);
    if (body.length !== coded) throw new Violation('pack ends too early');
    at += coded;
    const plain = kind === RAW ? body : strip ? restore(codecs, body, strip.image, strip.layout, strip.range) : codecs.decompress(body);
    if (plain?.length !== original) throw new Violation('a segment is broken');
    parts.push(plain);
    total += original;
  }
  const hash = packed.subarray(at, at + HASH_BYTES);
  if (packed.length !== at + HASH_BYTES) throw new Violation(hash.length < HASH_BYTES ? 'pack ends too early' : 'bytes after the end');
  const whole = new Uint8Array(total);
  let to = 0;
  for (const part of parts) {
    whole.set(part, to);
    to += part.length;
  }
  if (!equal(new Sha256().update(whole).digest(), hash)) throw new Violation('wrong hash');
  return whole;
}

function readStrip(bytes: Uint8Array, original: number): { layout: Layout; range: Range; image: Image } | null {
  if (bytes.length < STRIP_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, STRIP_BYTES);
  const [columns, lines, arrangement, flags, bits, base] = [view.getUint16(0), view.getUint16(2), bytes[4]!, bytes[5]!, bytes[6]!, view.getUint16(7)];
  if (arrangement > 3 || flags > 7) return null;
  const layout = { columns, arrangement: arrangement as 0 | 1 | 2 | 3, wide: (flags & 1) !== 0, bigEndian: (flags & 2) !== 0, differences: (flags & 4) !== 0 };
  const size = imageOf(layout, lines);
  const coloured = arrangement === PIXELS || arrangement === PLANES;
  const coherent = (layout.wide || (!layout.bigEndian && base < 256)) && (coloured || !layout.differences) && bits >= 2 && bits <= (layout.wide ? 16 : 8);
  if (!size || !coherent || columns === 0 || lines === 0 || lineBytes(layout) * lines !== original) return null;
  return { layout, range: { base, bits }, image: { ...size, bits } };
}
