// Countdown levels, ages and dates.
import { describe, expect, test } from 'vitest';

import { age, dicomClock, dicomDay, used } from './time';

describe('time', () => {
  test('how much of the time is used', () => {
    expect(used(0, 100, 25)).toBe(0.25);
    expect(used(0, 100, 100)).toBe(1);
    expect(used(0, 100, 500)).toBe(1);
    expect(used(50, 50, 10)).toBe(1);
    expect(used(10, 100, 5)).toBe(0);
  });

  test('dates and times of objects', () => {
    expect(dicomDay('20261122')).toBe('2026-11-22');
    expect(dicomDay('2026-11-22')).toBe('2026-11-22');
    expect(dicomDay('later')).toBe('later');
    expect(dicomDay(null)).toBe('');
    expect(dicomClock('142503.120000')).toBe('14:25');
  });

  test('ages in the units that hospitals use', () => {
    expect(age('19831123', '20261122')).toEqual({ unit: 'years', count: 42 });
    expect(age('19831122', '20261122')).toEqual({ unit: 'years', count: 43 });
    expect(age('20241001', '20261122')).toEqual({ unit: 'months', count: 25 });
    expect(age('20261101', '20261122')).toEqual({ unit: 'days', count: 21 });
    expect(age('20270101', '20261122')).toBeNull();
    expect(age('', '20261122')).toBeNull();
  });
});
