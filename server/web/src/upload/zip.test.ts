// Archives, archives within archives, folders, twins and patients: what was dropped becomes the right studies.
import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';

import { headOf, inOrder, sizeOf } from './content';
import { file, random } from './fixtures/made';
import { Table } from './group';
import { equal } from './progress';
import { type Found, take } from './take';
import { readZip } from './zip';

async function taken(name: string, bytes: Uint8Array): Promise<Found[]> {
  const found: Found[] = [];
  await take([{ file: new File([bytes as Uint8Array<ArrayBuffer>], name), path: name }], (one) => found.push(one), () => false);
  return found;
}

const noise = (size: number) => {
  const next = random(size);
  return Uint8Array.from({ length: size }, () => next() * 256);
};

describe('archives', () => {
  it('give every part, stored or deflated, from any place on', async () => {
    const parts = { 'a/one.dcm': file(), 'two.bin': noise(200_000), 'empty.txt': new Uint8Array(0) };
    for (const level of [0, 6] as const) {
      const zip = new Blob([zipSync(parts, { level }) as Uint8Array<ArrayBuffer>]);
      const read = await readZip(zip);
      expect(read.map((part) => part.name).sort()).toEqual(Object.keys(parts).sort());
      for (const part of read) {
        const expected = parts[part.name as keyof typeof parts];
        const content = await part.open();
        expect(sizeOf(content!)).toBe(expected.length);
        for (const start of [0, 7, expected.length]) {
          const next = inOrder(content!, Math.min(start, expected.length));
          const chunks: Uint8Array<ArrayBuffer>[] = [];
          for (let chunk = await next(9_999); chunk.length > 0; chunk = await next(9_999)) chunks.push(chunk.slice());
          expect(equal(new Uint8Array(await new Blob(chunks).arrayBuffer()), expected.slice(start))).toBe(true);
        }
        const head = headOf(content!);
        expect(await head.read(3, 50)).toEqual(expected.slice(3, 53));
        head.close();
      }
    }
  });

  it('within archives are opened, and what is not DICOM is left out with its reason', async () => {
    const inner = zipSync({ 'IM1': file({ sop: '1.1' }), 'IM2': file({ sop: '1.2' }) }, { level: 6 });
    const outer = zipSync({ 'disc/inner.zip': inner, 'IM3': file({ sop: '1.3' }), 'readme.txt': new TextEncoder().encode('read me, please, before you go on') });
    const found = await taken('all.zip', outer);
    expect(found.filter((one) => 'facts' in one).map((one) => ('facts' in one ? one.facts.sop : ''))).toEqual(expect.arrayContaining(['1.1', '1.2', '1.3']));
    expect(found.filter((one) => 'skip' in one)).toEqual([{ path: 'all.zip/readme.txt', skip: 'notDicom' }]);
    expect(found.find((one) => one.path.endsWith('IM2'))?.path).toBe('all.zip/disc/inner.zip/IM2');
  });

  it('within each other without end are not followed', async () => {
    let zip = zipSync({ IM: file() });
    for (let depth = 0; depth < 6; depth += 1) zip = zipSync({ 'more.zip': zip });
    const found = await taken('deep.zip', zip);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ skip: 'tooLarge' });
  });

  it('that are damaged are said to be, and do no harm', async () => {
    const whole = zipSync({ IM1: file({ sop: '1.1' }), IM2: noise(3_000) });
    const next = random(4);
    for (let round = 0; round < 60; round += 1) {
      const changed = whole.slice(0, round % 4 === 0 ? Math.floor(next() * whole.length) : whole.length);
      for (let count = 0; count < 3; count += 1) changed[4 + Math.floor(next() * Math.max(1, changed.length - 4))] = Math.floor(next() * 256);
      for (const one of await taken('bad.zip', changed)) expect('skip' in one || one.facts.sop !== '').toBe(true);
    }
  });

  it('that lie about a length are refused when they are read through', async () => {
    const zip = zipSync({ IM: new Uint8Array(100_000) }, { level: 6 });
    const [part] = await readZip(new Blob([zip as Uint8Array<ArrayBuffer>]));
    const content = await part!.open();
    const next = inOrder({ ...content!, inflated: 50_000 }, 0);
    await expect(next(200_000)).rejects.toThrow();
    const longer = inOrder({ ...content!, inflated: 200_000 }, 0);
    await expect(longer(200_000)).rejects.toThrow();
  });
});

describe('studies', () => {
  const LIMITS = { entries: 100, instanceBytes: 1 << 30 };
  async function table(drops: Uint8Array[][]): Promise<Table> {
    const all = new Table();
    for (const [drop, files] of drops.entries()) {
      for (const [at, bytes] of files.entries()) {
        for (const one of await taken(`${drop}-${at}`, bytes)) if ('facts' in one) all.add(one, drop);
      }
    }
    all.judge(LIMITS);
    return all;
  }
  const issues = (all: Table) => [...all.studies.values()].map((study) => [...study.issues].sort());

  it('are one for each study and patient', async () => {
    const all = await table([[file({ sop: '1.1' }), file({ sop: '1.2' }), file({ sop: '1.3', study: '1.9', series: '1.9.1' })]]);
    expect([...all.studies.values()].map((study) => study.instances.size)).toEqual([2, 1]);
    expect(issues(all)).toEqual([[], []]);
  });

  it('of two patients are told apart: in one study, in one drop, in two drops', async () => {
    const other = { name: 'Li^Si', id: 'P2' };
    expect(issues(await table([[file({ sop: '1.1' }), file({ sop: '1.2', ...other })]]))).toEqual([
      ['patientsInStudy', 'patientsTogether'],
      ['patientsInStudy', 'patientsTogether'],
    ]);
    expect(issues(await table([[file({ sop: '1.1' }), file({ sop: '1.2', study: '1.9', ...other })]]))).toEqual([['patientsTogether'], ['patientsTogether']]);
    expect(issues(await table([[file({ sop: '1.1' })], [file({ sop: '1.2', study: '1.9', ...other })]]))).toEqual([[], []]);
  });

  it('of nobody, and without pictures, are marked', async () => {
    expect(issues(await table([[file({ name: '', id: '' })]]))).toEqual([['noId', 'noName']]);
    expect(issues(await table([[file({ pixels: null })]]))).toEqual([['noImages']]);
  });

  it('keep files with the same number apart', async () => {
    const all = await table([[file({ sop: '1.1' }), file({ sop: '1.1', rows: 8 })]]);
    const [study] = [...all.studies.values()];
    expect([study?.instances.size, study?.twins.length]).toEqual([1, 1]);
  });

  it('go in the order of series and images', async () => {
    const all = await table([[file({ sop: '1.9' }), file({ sop: '1.1' }), file({ sop: '1.5' })]]);
    expect([...all.studies.values()][0]?.ordered().map((one) => one.facts.sop)).toEqual(['1.1', '1.5', '1.9']);
  });
});
