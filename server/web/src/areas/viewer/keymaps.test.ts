// Keys: nothing stands twice, everything can be done, nothing happens while somebody types.
import { describe, expect, it } from 'vitest';

import { actions } from './actions';
import { isTyping } from './keys';
import { actionOf, chordOf, chordText, conflictsOf, keymapNames, keymaps, reassigned, reserved, withChanges } from './keymaps';

const press = (key: string, more: Partial<Parameters<typeof chordOf>[0]> = {}) =>
  chordOf({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more });

describe('keymaps', () => {
  it.each(keymapNames)('%s has a key for every action and none twice', (name) => {
    expect(actions.length).toBeGreaterThanOrEqual(40);
    for (const action of actions) expect(keymaps[name][action]?.length, action).toBeGreaterThan(0);
    expect(conflictsOf(keymaps[name])).toEqual([]);
  });

  it('finds what stands twice and what belongs to the report', () => {
    const changed = withChanges('medrelay', { invert: ['z'], 'key.toggle': ['F2'] });
    expect(conflictsOf(changed)).toEqual([
      { chord: 'F2', actions: ['report', 'key.toggle'] },
      { chord: 'z', actions: ['tool.zoom', 'invert'] },
    ]);
    expect(reserved).toContain('Ctrl+Enter');
  });

  it('leaves out changes of actions that there are not', () => {
    expect(withChanges('ohif', { 'no.such': ['b'] })).toEqual(keymaps.ohif);
  });

  it('reads key presses the same on every layout', () => {
    expect(press('Z', { shiftKey: true, ctrlKey: true })).toBe('Ctrl+Shift+z');
    expect(press('!', { shiftKey: true, code: 'Digit1' })).toBe('Shift+1');
    expect(press('?', { shiftKey: true, code: 'Slash' })).toBe('?');
    expect(press('+', { shiftKey: true, code: 'Equal' })).toBe('+');
    expect(press(' ')).toBe('Space');
    expect(press('ArrowDown', { shiftKey: true })).toBe('Shift+ArrowDown');
    expect(press('z', { metaKey: true })).toBe('Ctrl+z');
    expect(actionOf(keymaps.medrelay, 'Ctrl+z')).toBe('undo');
    expect(actionOf(keymaps.medrelay, 'Ctrl+s')).toBeNull();
  });

  it('is dead while an input method composes', () => {
    expect(isTyping({ isComposing: true, target: null })).toBe(true);
    expect(isTyping({ keyCode: 229, target: null })).toBe(true);
    expect(isTyping({ isComposing: false, keyCode: 65, target: null })).toBe(false);
  });

  it('gives a chord to one action only, and never the report\'s', () => {
    const made = reassigned('medrelay', {}, 'tool.length', 'a');
    expect(made).toEqual({ changes: { 'tool.length': ['a'], 'tool.angle': [] }, taken: ['tool.angle'] });
    expect(reassigned('medrelay', {}, 'tool.length', 'Ctrl+s')).toBeNull();
    expect(reassigned('ohif', { 'tool.pan': ['y'] }, 'zoom.in', 'ArrowUp')).toEqual({ changes: { 'tool.pan': ['y'], 'image.previous': [], 'zoom.in': ['ArrowUp'] }, taken: ['image.previous'] });
  });

  it('writes chords as they stand on keyboards', () => {
    expect(['Shift+ArrowDown', 'Escape', 'Ctrl+z'].map(chordText)).toEqual(['Shift+↓', 'Esc', 'Ctrl+z']);
  });
});
