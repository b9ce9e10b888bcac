// The keys of the case page: what they ask for, and silence while an input method composes.
import { expect, test } from 'vitest';

import { askedBy } from './useCaseKeys';

function key(code: string, name: string, more: Partial<KeyboardEvent> = {}): Parameters<typeof askedBy>[0] {
  return { key: name, code, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, isComposing: false, keyCode: 1, ...more };
}

test('the keys', () => {
  expect(askedBy(key('Enter', 'Enter', { ctrlKey: true }))).toBe('signAndNext');
  expect(askedBy(key('KeyS', 's', { ctrlKey: true }))).toBe('save');
  expect(askedBy(key('KeyC', 'C', { ctrlKey: true, shiftKey: true }))).toBe('critical');
  expect(askedBy(key('F2', 'F2'))).toBe('toggleFocus');
  expect(askedBy(key('Digit3', '3', { altKey: true }))).toEqual({ template: 2 });
});

test('typing is typing', () => {
  expect(askedBy(key('Enter', 'Enter'))).toBeNull();
  expect(askedBy(key('KeyS', 's'))).toBeNull();
  expect(askedBy(key('Digit3', '3'))).toBeNull();
  expect(askedBy(key('KeyC', 'c', { ctrlKey: true }))).toBeNull();
});

test('nothing while composing', () => {
  expect(askedBy(key('Enter', 'Enter', { ctrlKey: true, isComposing: true }))).toBeNull();
  expect(askedBy(key('F2', 'Process', { keyCode: 229 }))).toBeNull();
});
