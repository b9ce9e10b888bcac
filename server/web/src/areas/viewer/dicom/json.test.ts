// The DICOM JSON model: names in Chinese first, numbers that come as text, multipart answers.
import { describe, expect, it } from 'vitest';

import { dateText, inlineBytes, numbers, personName, timeText } from './json';

describe('DICOM JSON', () => {
  const name = (value: unknown) => personName({ '00100010': { vr: 'PN', Value: [value] } }, '00100010');

  it('puts the ideographic name first', () => {
    expect(name({ Alphabetic: 'Zhang^San', Ideographic: '张^三' })).toEqual({ first: '张三', second: 'Zhang San' });
    expect(name({ Alphabetic: '张^三' })).toEqual({ first: '张三', second: null });
    expect(name({ Alphabetic: 'Smith^John' })).toEqual({ first: 'Smith John', second: null });
    expect(name('Wang^Fang=王^芳')).toEqual({ first: '王芳', second: 'Wang Fang' });
    expect(name({})).toBeNull();
    expect(name({ Ideographic: '𠮷^田' })?.first).toBe('𠮷田');
  });

  it('reads numbers, dates and bytes', () => {
    expect(numbers({ '00280030': { vr: 'DS', Value: ['0.5', 0.25, 'x'] } }, '00280030')).toEqual([0.5, 0.25]);
    expect(dateText('20260301')).toBe('2026-03-01');
    expect(dateText('x')).toBeNull();
    expect(timeText('093015.2')).toBe('09:30');
    expect(inlineBytes({ vr: 'OW', InlineBinary: 'AQI=' })).toEqual(new Uint8Array([1, 2]));
  });
});
