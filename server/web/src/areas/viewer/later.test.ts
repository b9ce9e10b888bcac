// Earlier and later examinations.
import { describe, expect, it } from 'vitest';

import { isLater } from './later';

describe('later examinations', () => {
  it('are told by the day, however it is written', () => {
    expect(isLater('20261122', '20260301')).toBe(true);
    expect(isLater('2026-11-22', '20260301')).toBe(true);
    expect(isLater('20260301', '2026-11-22')).toBe(false);
  });

  it('are not those of the same day, or of no day', () => {
    expect(isLater('20261122', '20261122')).toBe(false);
    expect(isLater(null, '20261122')).toBe(false);
    expect(isLater('20261122', '')).toBe(false);
  });
});
