// The difference of two texts gives both of them back, and keeps words, numbers and rare characters whole.
import { describe, expect, test } from 'vitest';

import { differences, tokens } from './diff';

const before = (pieces: ReturnType<typeof differences>) => pieces.filter((piece) => piece.kind !== 'new').map((piece) => piece.text).join('');
const after = (pieces: ReturnType<typeof differences>) => pieces.filter((piece) => piece.kind !== 'gone').map((piece) => piece.text).join('');

describe('differences', () => {
  test('Chinese is compared by characters', () => {
    expect(differences('右肺上叶见结节影', '左肺上叶见小结节影')).toEqual([
      { kind: 'gone', text: '右' },
      { kind: 'new', text: '左' },
      { kind: 'same', text: '肺上叶见' },
      { kind: 'new', text: '小' },
      { kind: 'same', text: '结节影' },
    ]);
  });

  test('numbers and words stay whole', () => {
    expect(differences('结节 12.5 mm', '结节 12.8 mm')).toEqual([
      { kind: 'same', text: '结节 ' },
      { kind: 'gone', text: '12.5' },
      { kind: 'new', text: '12.8' },
      { kind: 'same', text: ' mm' },
    ]);
    expect(tokens('T2WI高信号')).toEqual(['T2', 'WI', '高', '信', '号']);
  });

  test('a character beyond the first plane is not torn', () => {
    expect(differences('𠮷田', '𠮶田')[0]).toEqual({ kind: 'gone', text: '𠮷' });
  });

  test('nothing, the same, and everything', () => {
    expect(differences('', '')).toEqual([]);
    expect(differences('同', '同')).toEqual([{ kind: 'same', text: '同' }]);
    expect(differences('', '新')).toEqual([{ kind: 'new', text: '新' }]);
    expect(differences('旧', '')).toEqual([{ kind: 'gone', text: '旧' }]);
  });

  test('both texts come back, whatever they are', () => {
    let seed = 7;
    const next = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed % below;
    };
    const letters = [...'左右肺见结节影。，\n 12ab'];
    for (let round = 0; round < 300; round += 1) {
      const make = () => Array.from({ length: next(40) }, () => letters[next(letters.length)]).join('');
      const [first, second] = [make(), make()];
      const pieces = differences(first, second);
      expect(before(pieces)).toBe(first);
      expect(after(pieces)).toBe(second);
    }
  });

  test('two long reports that share nothing end soon', () => {
    const started = performance.now();
    const pieces = differences('甲乙丙丁'.repeat(2_500), '戊己庚辛'.repeat(2_500));
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(pieces.map((piece) => piece.kind)).toEqual(['gone', 'new']);
  });
});
