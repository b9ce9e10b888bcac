// The second look before signing: it finds what is wrong and keeps quiet about what is right.
import { describe, expect, test } from 'vitest';

import { sideOf, warningsOf } from './checks';

const text = (findings: string, impression: string, recommendation = '') => ({ findings, impression, recommendation });
const kinds = (warnings: ReturnType<typeof warningsOf>) => warnings.map((warning) => warning.kind);

describe('sides', () => {
  test.each([
    ['左侧胸腔积液', 'left'],
    ['右肺上叶结节', 'right'],
    ['双侧胸廓对称', null],
    ['左侧正常，右侧积液', null],
    ['大小约左右3cm', null],
    ['Right lung nodule', 'right'],
    ['bright signal', null],
    ['', null],
  ])('%s', (words, side) => {
    expect(sideOf(words)).toBe(side);
  });

  test('against what was asked, and between the sections', () => {
    const about = { sex: 'M', asked: '左膝关节正侧位' };
    expect(warningsOf(text('右膝关节未见骨折', '右膝未见骨折'), about)).toEqual([
      { kind: 'side', section: 'findings', found: 'right', asked: 'left' },
      { kind: 'side', section: 'impression', found: 'right', asked: 'left' },
    ]);
    expect(kinds(warningsOf(text('左肺结节', '右肺结节'), { sex: null, asked: '胸部CT' }))).toEqual(['sidesDiffer']);
    expect(warningsOf(text('左膝正常', '左膝正常'), about)).toEqual([]);
  });
});

describe('the rest', () => {
  test('an empty report', () => {
    expect(kinds(warningsOf(text(' ', ''), { sex: null, asked: '' }))).toEqual(['empty', 'empty']);
  });

  test('organs that the sex does not have', () => {
    expect(warningsOf(text('子宫大小正常', '正常'), { sex: 'M', asked: '' })).toEqual([{ kind: 'sex', section: 'findings', word: '子宫', sex: 'M' }]);
    expect(kinds(warningsOf(text('正常', '前列腺增生'), { sex: 'F', asked: '' }))).toEqual(['sex']);
    expect(warningsOf(text('子宫正常', '正常'), { sex: 'F', asked: '' })).toEqual([]);
    expect(warningsOf(text('子宫正常', '正常'), { sex: 'O', asked: '' })).toEqual([]);
  });

  test('places left open and shortcuts that did not expand', () => {
    expect(kinds(warningsOf(text('大小约__×__mm', '#fzc'), { sex: null, asked: '' }))).toEqual(['placeholder', 'shortcut']);
  });
});
