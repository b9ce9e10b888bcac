// Packs give back every byte, are the same every time, are refused when damaged, and code pixels as the relay's own packer does.
import { describe, expect, it } from 'vitest';

import { loadCodecs } from './codecs';
import { Violation } from './fields';
import { random } from './fixtures/made';
import { pack, unpack } from './pack';
import { cutAt, type PixelFacts, planOf } from './plan';
import { equal } from './progress';
import { GREY, imageOf, type Layout, narrow, PAIRS, PIXELS, PLANES, putTogether, rangeOf, takeApart, widen } from './samples';
import { Sha256 } from './sha256';

const codecs = await loadCodecs();
const MOST = 1 << 30;

function source(bytes: Uint8Array): (count: number) => Uint8Array {
  let at = 0;
  return (count) => {
    const part = bytes.subarray(at, at + count);
    at += part.length;
    return part;
  };
}

async function packed(bytes: Uint8Array, facts: PixelFacts | null): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const summary = await pack(codecs, planOf(facts), source(bytes), (part) => parts.push(part.slice()));
  const whole = new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer());
  expect(summary.packedBytes).toBe(whole.length);
  expect(summary.packedSha256).toEqual(new Sha256().update(whole).digest());
  expect(summary.originalBytes).toBe(bytes.length);
  return whole;
}

const usual: PixelFacts = {
  start: 100, length: 0, rows: 64, columns: 64, bitsAllocated: 16, samples: 1, planar: false, photometric: 'MONOCHROME2', signed: false, bigEndian: false,
};

/** A header, an image like a soft shape with noise, and something behind it. */
function object(facts: PixelFacts, seed: number): { bytes: Uint8Array; facts: PixelFacts } {
  const next = random(seed);
  const wide = facts.bitsAllocated === 16;
  const samples = facts.rows * facts.columns * (facts.photometric.endsWith('_422') ? 2 : facts.samples);
  const length = samples * (wide ? 2 : 1);
  const bytes = new Uint8Array(facts.start + length + 7);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < samples; at += 1) {
    const shape = Math.sin(at / 900) * 0.5 + 0.5;
    const value = Math.floor(shape * (wide ? 1500 : 200) + next() * 12) - (facts.signed ? 700 : 0);
    if (wide) view.setUint16(facts.start + at * 2, value & 0xffff, !facts.bigEndian);
    else bytes[facts.start + at] = value;
  }
  for (let at = 0; at < facts.start; at += 1) bytes[at] = at % 17;
  return { bytes, facts: { ...facts, length } };
}

describe('packs', () => {
  it('of nothing, of anything, of noise', async () => {
    const next = random(3);
    for (const size of [0, 1, 300, 5_000, (2 << 20) + 3]) {
      const bytes = Uint8Array.from({ length: size }, (_, at) => (size === 5_000 ? next() * 256 : at % 7));
      expect(equal(unpack(codecs, await packed(bytes, null), MOST), bytes)).toBe(true);
    }
  });

  const kinds: [string, Partial<PixelFacts>][] = [
    ['grey, 12 bits', {}],
    ['grey, signed', { signed: true }],
    ['grey, most significant first', { bigEndian: true }],
    ['grey, 8 bits', { bitsAllocated: 8 }],
    ['colours, pixel after pixel', { bitsAllocated: 8, samples: 3, photometric: 'RGB' }],
    ['colours, plane after plane', { bitsAllocated: 8, samples: 3, planar: true, photometric: 'RGB' }],
    ['colours that share their chrominance', { bitsAllocated: 8, samples: 3, photometric: 'YBR_FULL_422' }],
    ['large, in strips', { rows: 1200, columns: 1100 }],
    ['more lines than there are bytes', { rows: 5_000 }],
  ];
  it.each(kinds)('%s: every byte comes back, smaller, and the same pack twice', async (name, change) => {
    const { bytes, facts } = object({ ...usual, ...change, rows: Math.min(change.rows ?? 64, 1_200) }, 11);
    const declared = { ...facts, rows: change.rows ?? 64 };
    const first = await packed(bytes, declared);
    expect(equal(unpack(codecs, first, MOST), bytes)).toBe(true);
    expect(first.length, name).toBeLessThan(bytes.length * 0.75);
    expect(equal(await packed(bytes, declared), first)).toBe(true);
  });

  it('a header that lies costs compression, never a byte', async () => {
    const next = random(5);
    for (let round = 0; round < 40; round += 1) {
      const { bytes } = object({ ...usual, rows: 20, columns: 20 }, round);
      const some = (most: number) => Math.floor(next() * most);
      const facts: PixelFacts = {
        start: some(300), length: some(3_000), rows: some(70), columns: some(70), bitsAllocated: [8, 16, 1, 32][some(4)]!, samples: [1, 3, 2][some(3)]!,
        planar: next() < 0.5, photometric: ['RGB', 'YBR_FULL_422', 'MONOCHROME2'][some(3)]!, signed: next() < 0.5, bigEndian: next() < 0.5,
      };
      expect(equal(unpack(codecs, await packed(bytes, facts), MOST), bytes)).toBe(true);
    }
  });

  it('damaged packs are refused', async () => {
    const { bytes, facts } = object({ ...usual, rows: 24, columns: 24 }, 2);
    const whole = await packed(bytes, facts);
    expect(() => unpack(codecs, whole, bytes.length - 1)).toThrow(Violation);
    expect(() => unpack(codecs, Uint8Array.from([...whole, 0]), MOST)).toThrow(Violation);
    const next = random(9);
    for (let round = 0; round < 300; round += 1) {
      const changed = whole.slice(0, round % 3 === 0 ? Math.floor(next() * whole.length) : whole.length);
      if (changed.length > 0 && round % 3 !== 0) {
        const at = Math.floor(next() * changed.length);
        changed[at] = (changed[at]! + 1 + Math.floor(next() * 255)) & 0xff;
      }
      let out: Uint8Array | null = null;
      try {
        out = unpack(codecs, changed, MOST);
      } catch (error) {
        expect(error).toBeInstanceOf(Violation);
      }
      // A change that decodes must be one that decodes to the same bytes: the hash at the end proves it.
      if (out) expect(equal(out, bytes)).toBe(true);
    }
  });
});

describe('what a pack is made of', () => {
  it('samples are taken apart and put together without loss', () => {
    const next = random(1);
    for (const arrangement of [GREY, PIXELS, PLANES, PAIRS] as const) {
      for (const wide of [false, true]) {
        for (const differences of arrangement === PIXELS || arrangement === PLANES ? [false, true] : [false]) {
          const layout: Layout = { columns: 6, arrangement, wide, bigEndian: wide && next() < 0.5, differences };
          const bytes = Uint8Array.from({ length: 6 * 12 * 10 }, () => next() * 256);
          const values = takeApart(layout, bytes);
          for (const signed of [false, true]) {
            const range = rangeOf(layout, values, signed);
            expect(putTogether(layout, widen(layout, narrow(layout, values, range), range))).toEqual(bytes);
          }
        }
      }
    }
  });

  it('cuts cover everything, within the limits, frame by frame', () => {
    for (const facts of [usual, { ...usual, rows: 3_000, columns: 3_000 }, { ...usual, columns: 65_535 }, { ...usual, samples: 3, planar: true, bitsAllocated: 8 }]) {
      const plan = planOf({ ...facts, length: 40_000_000 });
      let at = 0;
      for (let count = 0; count < 2_000 && at < 40_000_000; count += 1) {
        const cut = cutAt(plan, at);
        expect(cut.bytes).toBeGreaterThan(0);
        expect(cut.bytes).toBeLessThanOrEqual(2 << 20);
        if (cut.lines > 0) expect(imageOf(plan!.layout, cut.lines)).not.toBeNull();
        at += cut.bytes;
      }
    }
  });

  it('the own SHA-256 is SHA-256', async () => {
    for (const size of [0, 1, 55, 56, 63, 64, 65, 1_000, 100_000]) {
      const bytes = Uint8Array.from({ length: size }, (_, at) => (at * 7) % 256);
      const hash = new Sha256();
      for (let at = 0; at < size; at += 37) hash.update(bytes.subarray(at, at + 37));
      expect(hash.digest()).toEqual(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
    }
  });
});
