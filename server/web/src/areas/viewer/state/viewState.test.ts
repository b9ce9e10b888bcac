// What is saved comes back as it was; what is not ours does no harm.
import { describe, expect, it } from 'vitest';

import type { ViewState } from '../types';

import { emptyViewState, readViewState } from './viewState';

const whole: ViewState = {
  version: 1,
  layout: { rows: 1, columns: 2 },
  panes: [
    { stack: '1.2/1.3', sop: '1.3', frame: 7, window: { centre: -600, width: 1500 }, invert: true, rotation: 90, flipH: true, flipV: false, zoom: 1.5, pan: [3, -4] },
    { stack: null, sop: null, frame: 1, window: null, invert: false, rotation: 0, flipH: false, flipV: false, zoom: 1, pan: [0, 0] },
  ],
  marks: [
    { id: 'a', tool: 'Length', frameOfReference: '9', sop: '1.3', frame: 1, series: '1.2', study: '1', points: [[1, 2, 3], [4, 5, 6.5]], visible: true, locked: false },
    { id: 'b', tool: 'PlanarFreehandROI', frameOfReference: '9', sop: '1.3', frame: 2, series: '1.2', study: '1', points: [], outline: [[0, 0, 0], [1, 1, 1]], closed: true, label: '结节', text: '右肺', cut: { axis: 'j', index: 12 }, visible: false, locked: true },
  ],
  keyImages: [{ study: '1', series: '1.2', sop: '1.3', frame: 4 }],
  alignments: [{ a: '1.2', b: '1.9', offset: 3.25 }],
  ecg: [{ id: 'e', sop: '1.4', kind: 'QT', lead: 'II', from: 0.4, to: 0.79 }],
};

describe('ViewState', () => {
  it('comes back without loss', () => {
    expect(readViewState(JSON.parse(JSON.stringify(whole)))).toEqual(whole);
    expect(readViewState(emptyViewState())).toEqual(emptyViewState());
  });

  it('is nothing when it is not ours', () => {
    for (const other of [null, 'x', 7, [], {}, { version: 2 }]) expect(readViewState(other)).toBeNull();
  });

  it('leaves out what is broken and keeps the rest', () => {
    const read = readViewState({
      version: 1,
      layout: { rows: 99, columns: 'x' },
      panes: [{ zoom: Number.NaN, window: { centre: 1, width: -3 } }, 3],
      marks: [{ id: 'x' }, { id: 'y', tool: 'Length', points: [[1, 2], ['a', 0, 0]] }, whole.marks[0]],
      keyImages: [{ sop: '' }, null],
    });
    expect(read?.layout).toEqual({ rows: 4, columns: 1 });
    expect(read?.panes).toHaveLength(1);
    expect(read?.panes[0]).toMatchObject({ zoom: 1, window: null });
    expect(read?.marks).toEqual([whole.marks[0]]);
    expect(read?.keyImages).toEqual([]);
  });
});
