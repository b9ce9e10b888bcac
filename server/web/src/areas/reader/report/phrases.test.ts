// Phrases expand where they were typed and nowhere else; templates never overwrite.
import { describe, expect, test } from 'vitest';

import type { Template } from '../api';
import { exactPhrase, expansion, ranked, suggestions, typedShortcut, withTemplate } from './phrases';

function phrase(shortcut: string, findings: string, more: Partial<Template> = {}): Template {
  const empty = { id: shortcut, organization: 'o', person: null, kind: 'phrase', name: shortcut, modality: '', body_part: '', impression: '', recommendation: '', version: 1 } as const;
  return { ...empty, shortcut, findings, ...more };
}

const lung = phrase('fzc', '双肺野清晰');
const heart = phrase('心', '心影不大', { impression: '心脏未见异常' });

describe('shortcuts', () => {
  test('only directly before the caret', () => {
    expect(typedShortcut('见#fzc', 5)).toBe('fzc');
    expect(typedShortcut('见#fzc ', 6)).toBeNull();
    expect(typedShortcut('#', 1)).toBe('');
    expect(typedShortcut('#fzc', 2)).toBe('f');
    expect(typedShortcut('没有', 2)).toBeNull();
  });

  test('an exact shortcut, in Latin letters and in characters', () => {
    expect(exactPhrase([lung, heart], '#FZC', 4)).toBe(lung);
    expect(exactPhrase([lung, heart], '一。#心', 4)).toBe(heart);
    expect(exactPhrase([lung], '#fz', 3)).toBeNull();
    expect(exactPhrase([phrase('', 'x')], '#', 1)).toBeNull();
  });

  test('the phrase goes into its place, by section', () => {
    expect(expansion('一。#心。', 4, heart, 'findings')).toEqual({ from: 2, to: 4, text: '心影不大' });
    expect(expansion('#心', 2, heart, 'impression')?.text).toBe('心脏未见异常');
    expect(expansion('#fzc', 4, lung, 'recommendation')?.text).toBe('双肺野清晰');
  });

  test('suggestions begin with what is typed', () => {
    expect(suggestions([heart, lung], 'f')).toEqual([lung]);
    expect(suggestions([phrase('fzcx', ''), lung], 'fzc')[0]).toBe(lung);
  });
});

describe('templates', () => {
  test('one’s own first, then the closest', () => {
    const all = [phrase('a', '', { name: 'b' }), phrase('b', '', { name: 'a', modality: 'CT', body_part: 'CHEST' }), phrase('c', '', { person: 'me' }), phrase('d', '', { modality: 'MR' })];
    expect(ranked(all, 'me', 'CT', 'CHEST').map((template) => template.id)).toEqual(['c', 'b', 'a']);
  });

  test('what is written stays', () => {
    const written = { findings: '右肺结节\n', impression: '', recommendation: '复查' };
    const made = withTemplate(written, phrase('t', '双肺野清晰', { impression: '未见异常', recommendation: '复查' }));
    expect(made).toEqual({ findings: '右肺结节\n双肺野清晰', impression: '未见异常', recommendation: '复查' });
  });
});
