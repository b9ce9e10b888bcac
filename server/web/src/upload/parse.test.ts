// Heads of files: what they say is found in every encoding and character set, and nothing that a file holds can do harm.
import { describe, expect, it } from 'vitest';

import { Texts } from './charset';
import { element, file, type Made, random } from './fixtures/made';
import { type Facts, parse, type Readable } from './parse';

function readable(bytes: Uint8Array): Readable {
  return { size: bytes.length, read: async (from, count) => bytes.slice(from, from + count) };
}

async function facts(made: Made): Promise<Facts> {
  const found = await parse(readable(file(made)));
  if (typeof found === 'string') throw new Error(found);
  return found;
}

const gbk = (text: string) => {
  const table: Record<string, number[]> = { 张: [0xd5, 0xc5], 三: [0xc8, 0xfd], 龙: [0xc1, 0xfa], 王: [0xcd, 0xf5], '^': [0x5e], '=': [0x3d], 镕: [0xe9, 0x46] };
  return [...text].flatMap((letter) => table[letter] ?? [letter.charCodeAt(0)]);
};

describe('heads of files', () => {
  it.each(['1.2.840.10008.1.2', '1.2.840.10008.1.2.1', '1.2.840.10008.1.2.2', '1.2.840.10008.1.2.4.70'])('are read in %s', async (syntax) => {
    const found = await facts({ syntax, rows: 20, columns: 30 });
    expect(found).toMatchObject({ sop: '1.2.3.4', study: '1.2.3', series: '1.2.3.1', syntax, modality: 'CT', instance: 7, studyDate: '20240131' });
    expect(found.patient).toMatchObject({ name: 'Zhang^San', id: 'P1', birthDate: '19700101', sex: 'M' });
    expect(found.pixels).toMatchObject({ rows: 20, columns: 30, bitsAllocated: 16, length: 1_200 });
    const bytes = file({ syntax, rows: 20, columns: 30 });
    expect(found.start + found.bytes).toBe(bytes.length);
    if (found.pixels && found.pixels !== 'encapsulated') expect(found.start + found.pixels.start + 1_200).toBe(bytes.length);
  });

  it('are read without preamble and meta group', async () => {
    expect((await facts({ front: false })).syntax).toBe('1.2.840.10008.1.2.1');
    expect((await facts({ front: false })).start).toBe(0);
  });

  it('are read behind long values and nested sequences', async () => {
    const long = element(0x00091010, 'OB', new Uint8Array(300_000));
    const item = (inner: number[]) => [0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff, ...inner, 0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0];
    const sequence = (tag: number[], inner: number[]) => [...tag, 0x53, 0x51, 0, 0, 0xff, 0xff, 0xff, 0xff, ...item(inner), 0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0];
    const nested = sequence([8, 0, 0x40, 0x11], sequence([8, 0, 0x41, 0x11], element(0x00080018, 'UI', '9.9.9')));
    expect((await facts({ extra: [...nested, ...long] })).sop).toBe('1.2.3.4');
  });

  it('say what is no image', async () => {
    const parsed = (bytes: Uint8Array) => parse(readable(bytes));
    expect(await parsed(new Uint8Array(0))).toBe('notDicom');
    expect(await parsed(new TextEncoder().encode('%PDF-1.7 and much more text than sixteen bytes'))).toBe('notDicom');
    expect(await parsed(file({ study: 'abc' }))).toBe('noIdentity');
    expect(await parsed(file().slice(0, -3))).toBe('damaged');
    const without = await parsed(file({ pixels: null }));
    expect(without).toMatchObject({ pixels: null });
  });

  it('do no harm, however they are damaged', async () => {
    const next = random(17);
    const whole = file({ rows: 4, columns: 4, charset: 'ISO_IR 192' });
    for (let round = 0; round < 3_000; round += 1) {
      const changed = whole.slice(0, next() < 0.3 ? Math.floor(next() * whole.length) : whole.length);
      for (let count = 0; count < 1 + next() * 6; count += 1) changed[130 + Math.floor(next() * Math.max(1, changed.length - 130))] = Math.floor(next() * 256);
      const found = await parse(readable(changed));
      if (typeof found === 'string') continue;
      expect(found.start + found.bytes).toBe(changed.length);
      expect(found.sop).toMatch(/^[0-9.]{1,64}$/);
    }
    const noise = Uint8Array.from({ length: 50_000 }, () => next() * 256);
    for (let at = 0; at < 200; at += 1) expect(typeof (await parse(readable(noise.subarray(at * 200))))).toBe('string');
  });

  it('with a reader that fails are unreadable, not an exception', async () => {
    expect(await parse({ size: 5_000, read: () => Promise.reject(new Error('scratched')) })).toBe('unreadable');
  });

  it('that go in circles end', async () => {
    const deep = new Array(500).fill([8, 0, 0x40, 0x11, 0x53, 0x51, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff]).flat() as number[];
    expect(await parse(readable(file({ extra: deep })))).toBe('damaged');
  });
});

describe('Chinese text', () => {
  const names: [string, string | undefined, number[], string, boolean][] = [
    ['GB18030', 'GB18030', gbk('Zhang^San=张^三'), 'Zhang^San=张^三', false],
    ['GBK, with a letter whose second byte is ASCII', 'GBK', gbk('王^镕'), '王^镕', false],
    ['UTF-8', 'ISO_IR 192', [...new TextEncoder().encode('张^三龙')], '张^三龙', false],
    ['without a declaration, GBK', undefined, gbk('张^三龙'), '张^三龙', true],
    ['without a declaration, UTF-8', undefined, [...new TextEncoder().encode('张^三')], '张^三', true],
    ['declared Latin 1, in truth GBK', 'ISO_IR 100', gbk('张^三龙'), '张^三龙', true],
    ['declared GB18030, in truth UTF-8', 'GB18030', [...new TextEncoder().encode('张三龙')], '张三龙', true],
    ['declared UTF-8, in truth GBK', 'ISO_IR 192', gbk('张^三'), '张^三', true],
    ['ISO 2022 IR 58', '\\ISO 2022 IR 58', [...gbk('Zhang^San='), 0x1b, 0x24, 0x29, 0x41, ...gbk('张^'), 0x1b, 0x24, 0x29, 0x41, ...gbk('三')], 'Zhang^San=张^三', false],
    ['Latin 1', 'ISO_IR 100', [0x4d, 0xfc, 0x6c, 0x6c, 0x65, 0x72], 'Müller', false],
  ];
  it.each(names)('%s', async (_, charset, bytes, name, guessed) => {
    const found = await facts({ charset, name: Uint8Array.from(bytes) });
    expect(found.patient.name).toBe(name);
    expect(found.guessed).toBe(guessed);
  });

  it('never fails', () => {
    const next = random(23);
    for (let round = 0; round < 2_000; round += 1) {
      const raw = Uint8Array.from({ length: 1 + Math.floor(next() * 30) }, () => (next() < 0.15 ? 0x1b : next() * 256));
      const declared = ['', 'ISO_IR 100', 'GB18030', 'ISO_IR 192', '\\ISO 2022 IR 58', 'ISO 2022 IR 87\\ISO 2022 IR 149', 'nonsense'][Math.floor(next() * 7)] ?? '';
      expect(typeof new Texts(declared, [raw]).decode(raw)).toBe('string');
    }
  });
});
