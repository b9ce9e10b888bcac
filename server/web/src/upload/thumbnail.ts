// A small picture of an image, where that is cheap: uncompressed, baseline JPEG and JPEG-LS. Others get a symbol.
import { loadCodecs } from './codecs';
import { type Content, headOf } from './content';
import type { Facts } from './parse';
import type { PixelFacts } from './plan';

export interface Small {
  width: number;
  height: number;
  pixels: Uint8ClampedArray<ArrayBuffer>;
}

const JPEG = new Set(['1.2.840.10008.1.2.4.50']);
const JPEG_LS = new Set(['1.2.840.10008.1.2.4.80', '1.2.840.10008.1.2.4.81']);
const MOST_BYTES = 48 << 20;

/** Draws the image within `size` × `size`; null where it cannot be drawn. */
export async function thumbnail(content: Content, facts: Facts, size: number): Promise<Small | null> {
  const head = headOf(content);
  try {
    if (facts.pixels === 'encapsulated') return await coded(head.read, head.size, facts, size);
    if (!facts.pixels) return null;
    const { rows, columns, bitsAllocated, samples, start, length, photometric } = facts.pixels;
    if (photometric.endsWith('_422') || photometric.startsWith('PALETTE')) return null;
    const frameBytes = (rows * columns * samples * bitsAllocated) / 8;
    if (frameBytes === 0 || frameBytes > MOST_BYTES || frameBytes > length) return null;
    const frame = Math.min(Math.floor(facts.frames / 2), Math.floor(length / frameBytes) - 1);
    const bytes = await head.read(facts.start + start + frame * frameBytes, frameBytes);
    return draw(bytes, facts.pixels, facts, size);
  } finally {
    head.close();
  }
}

/** The first fragment with an image in it (PS3.5 A.4). */
async function coded(read: (from: number, count: number) => Promise<Uint8Array>, end: number, facts: Facts, size: number): Promise<Small | null> {
  if (!JPEG.has(facts.syntax) && !JPEG_LS.has(facts.syntax)) return null;
  const fragment = await firstFragment(read, end, facts);
  if (!fragment) return null;
  if (JPEG.has(facts.syntax)) {
    const bitmap = await createImageBitmap(new Blob([fragment as Uint8Array<ArrayBuffer>], { type: 'image/jpeg' }));
    const [width, height] = fit(bitmap.width, bitmap.height, size);
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext('2d');
    if (!context) return null;
    context.drawImage(bitmap, 0, 0, width, height);
    return { width, height, pixels: context.getImageData(0, 0, width, height).data as Uint8ClampedArray<ArrayBuffer> };
  }
  const decoded = (await loadCodecs()).decodeJpegLs(fragment);
  if (!decoded) return null;
  const { width: columns, height: rows, bits } = decoded.image;
  const pixels: PixelFacts = {
    start: 0, length: decoded.samples.length, rows, columns, bitsAllocated: bits <= 8 ? 8 : 16, samples: decoded.components, planar: false,
    photometric: decoded.components === 3 ? 'RGB' : 'MONOCHROME2', signed: false, bigEndian: false,
  };
  return draw(decoded.samples, pixels, facts, size);
}

async function firstFragment(read: (from: number, count: number) => Promise<Uint8Array>, end: number, facts: Facts): Promise<Uint8Array | null> {
  // Parsing stopped at the pixels, so they are looked for near the end of the head: the item marks of the table and the first fragment.
  const head = await read(facts.start, Math.min(end - facts.start, 1 << 20));
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  for (let at = 0; at + 28 < head.length; at += 2) {
    if (view.getUint32(at, true) !== 0x00107fe0 || view.getUint32(at + 8, true) !== 0xffffffff || view.getUint32(at + 12, true) !== 0xe000fffe) continue;
    const next = at + 20 + view.getUint32(at + 16, true);
    if (next + 8 > head.length || view.getUint32(next, true) !== 0xe000fffe) return null;
    const length = view.getUint32(next + 4, true);
    if (length === 0 || length > MOST_BYTES || facts.start + next + 8 + length > end) return null;
    return read(facts.start + next + 8, length);
  }
  return null;
}

function fit(columns: number, rows: number, size: number): [number, number] {
  const scale = Math.min(1, size / Math.max(columns, rows));
  return [Math.max(1, Math.round(columns * scale)), Math.max(1, Math.round(rows * scale))];
}

function draw(bytes: Uint8Array, pixels: PixelFacts, facts: Facts, size: number): Small | null {
  const { rows, columns, samples, photometric } = pixels;
  if (pixels.bitsAllocated !== 8 && pixels.bitsAllocated !== 16) return null;
  const [width, height] = fit(columns, rows, size);
  const out = new Uint8ClampedArray(width * height * 4);
  const value = reader(bytes, pixels, facts);
  const at = (x: number, y: number) => Math.floor((y * rows) / height) * columns + Math.floor((x * columns) / width);
  const [low, high] = samples === 1 ? windowOf(value, width * height, (n) => at(n % width, Math.floor(n / width)), facts) : [0, 255];
  const plane = rows * columns;
  for (let n = 0; n < width * height; n += 1) {
    const pixel = at(n % width, Math.floor(n / width));
    const to = n * 4;
    if (samples === 1) {
      const grey = ((value(pixel) - low) / Math.max(1e-6, high - low)) * 255;
      const shown = photometric === 'MONOCHROME1' ? 255 - grey : grey;
      out[to] = out[to + 1] = out[to + 2] = shown;
    } else {
      const part = (component: number) => value(pixels.planar ? component * plane + pixel : pixel * 3 + component);
      const [a, b, c] = [part(0), part(1), part(2)];
      const isRgb = !photometric.startsWith('YBR');
      out[to] = isRgb ? a : a + 1.402 * (c - 128);
      out[to + 1] = isRgb ? b : a - 0.344 * (b - 128) - 0.714 * (c - 128);
      out[to + 2] = isRgb ? c : a + 1.772 * (b - 128);
    }
    out[to + 3] = 255;
  }
  return { width, height, pixels: out };
}

function reader(bytes: Uint8Array, pixels: PixelFacts, facts: Facts): (at: number) => number {
  if (pixels.bitsAllocated === 8) return (at) => bytes[at] ?? 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = !pixels.bigEndian;
  const stored = facts.bitsStored > 0 && facts.bitsStored < 16 ? facts.bitsStored : 16;
  const [mask, sign] = [2 ** stored - 1, 2 ** (stored - 1)];
  return (at) => {
    if (at * 2 + 2 > bytes.length) return 0;
    const raw = view.getUint16(at * 2, little) & mask;
    return pixels.signed && (raw & sign) !== 0 ? raw - 2 ** stored : raw;
  };
}

/** The range that is shown: what the image says, else all but the darkest and brightest hundredth. */
function windowOf(value: (at: number) => number, count: number, at: (n: number) => number, facts: Facts): [number, number] {
  if (facts.window) {
    const { centre, width } = facts.window;
    return [(centre - width / 2 - facts.intercept) / facts.slope, (centre + width / 2 - facts.intercept) / facts.slope];
  }
  const values = Float64Array.from({ length: count }, (_, n) => value(at(n))).sort();
  return [values[Math.floor(count / 100)] ?? 0, values[Math.floor((count * 99) / 100)] ?? 255];
}
