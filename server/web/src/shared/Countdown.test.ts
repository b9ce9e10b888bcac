// When a countdown changes its colour, and what it says.
import { expect, test } from 'vitest';

import { levelOf, partsOf } from './Countdown';

test('amber from half, red from four fifths, over at the end', () => {
  expect(levelOf(0, 100, 49)).toBe('calm');
  expect(levelOf(0, 100, 50)).toBe('half');
  expect(levelOf(0, 100, 80)).toBe('late');
  expect(levelOf(0, 100, 100)).toBe('over');
});

test('two parts at most', () => {
  expect(partsOf(59)).toEqual({ days: 0, hours: 0, minutes: 59 });
  expect(partsOf(125)).toEqual({ days: 0, hours: 2, minutes: 5 });
  expect(partsOf(1_500)).toEqual({ days: 1, hours: 1, minutes: 0 });
});
