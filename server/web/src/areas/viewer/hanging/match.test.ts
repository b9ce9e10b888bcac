// Hanging: every protocol is sound, the right one is taken, and the right series come into the right panes.
import { describe, expect, it } from 'vitest';

import type { Frame, Stack } from '../dicom/model';

import { protocols } from './index';
import { fits, fitting, hang } from './match';

function stack(part: Partial<Stack>): Stack {
  return {
    id: part.description ?? part.view ?? 'one', study: 's', series: 'x', prior: false, kind: 'images', modality: 'CT', description: '', protocol: '', bodyPart: '',
    laterality: '', view: '', seriesNumber: 1, frameOfReference: null, frames: [], expected: 40, known: true, rate: 0, object: null, ...part,
  };
}

const best = (stacks: Stack[]) => fitting(protocols, stacks)[0];
const shown = (stacks: Stack[], id?: string) => {
  const protocol = id ? protocols.find((one) => one.id === id) : best(stacks);
  return protocol ? hang(protocol, stacks).map((one) => one.stack?.id ?? null) : [];
};

describe('hanging protocols', () => {
  it('are sound', () => {
    expect(protocols.length).toBeGreaterThanOrEqual(8);
    expect(new Set(protocols.map((one) => one.id)).size).toBe(protocols.length);
    for (const protocol of protocols) {
      expect(protocol.panes.length, protocol.id).toBe(protocol.layout.rows * protocol.layout.columns);
      expect(protocol.name.zh && protocol.name.en, protocol.id).toBeTruthy();
      for (const group of protocol.sync ?? []) expect(Math.max(...group.panes), protocol.id).toBeLessThan(protocol.panes.length);
      for (const pane of protocol.panes) {
        for (const want of [pane.want, ...(pane.otherwise ?? [])]) {
          if (want.text !== undefined) expect(() => new RegExp(want.text as string)).not.toThrow();
        }
      }
    }
  });

  it('takes one pane for a CT alone, and two with a prior', () => {
    expect(best([stack({})])?.id).toBe('single');
    const pair = [stack({ id: 'now' }), stack({ id: 'before', prior: true })];
    expect(best(pair)?.id).toBe('ct-prior');
    expect(shown(pair)).toEqual(['now', 'before']);
  });

  it('passes by scouts in both languages', () => {
    const stacks = [stack({ id: 'scout', description: '定位像', expected: 2, seriesNumber: 1 }), stack({ id: 'chest', description: '胸部 平扫', seriesNumber: 2 })];
    expect(shown(stacks)).toEqual(['chest']);
  });

  it('puts mammograms where they belong by view and side', () => {
    const view = (laterality: string, name: string) => stack({ id: laterality + name, modality: 'MG', laterality, view: name, expected: 1 });
    expect(shown([view('L', 'MLO'), view('R', 'CC'), view('L', 'CC'), view('R', 'MLO')])).toEqual(['RCC', 'LCC', 'RMLO', 'LMLO']);
  });

  it('reads MR weightings in both languages and shows nothing twice', () => {
    const mr = (description: string, seriesNumber: number) => stack({ description, id: description, modality: 'MR', seriesNumber });
    const found = shown([mr('DWI 弥散', 1), mr('T2 FLAIR 水抑制', 2), mr('T2 TSE', 3), mr('T1 SE', 4)]);
    expect(found.slice(0, 4)).toEqual(['T1 SE', 'T2 TSE', 'T2 FLAIR 水抑制', 'DWI 弥散']);
    expect(found.slice(4)).toEqual([null, null]);
  });

  it('starts clips of an ultrasound first', () => {
    const stacks = [stack({ id: 'still', modality: 'US', expected: 1 }), stack({ id: 'clip', modality: 'US', kind: 'clip', expected: 30 })];
    expect(best(stacks)?.id).toBe('us');
    expect(shown(stacks).slice(0, 2)).toEqual(['clip', 'still']);
  });

  it('shows an ECG and never puts a document before images', () => {
    expect(shown([stack({ id: 'e', modality: 'ECG', kind: 'ecg', expected: 1 })])).toEqual(['e']);
    expect(shown([stack({ id: 'sr', modality: 'SR', kind: 'document', expected: 1 }), stack({ id: 'ct', seriesNumber: 9 })])).toEqual(['ct']);
  });

  it('knows planes once they are known', () => {
    const frame = { orientation: [1, 0, 0, 0, 0, -1] } as unknown as Frame;
    expect(fits(stack({ frames: [frame] }), { plane: 'axial' })).toBe(false);
    expect(fits(stack({ frames: [frame] }), { plane: 'coronal' })).toBe(true);
    expect(fits(stack({}), { plane: 'coronal' })).toBe(true);
  });
});
