// The viewer's keys: dead while somebody types or an input method composes, and in a dialogue above the viewer.
import { useEffect, useMemo, useRef } from 'react';

import type { Action } from './actions';
import { actionOf, chordOf, withChanges, type Keymap } from './keymaps';
import type { KeyChanges, KeymapName } from './types';

/** Whether a key press belongs to a text: a field has the focus, or an input method is composing. */
export function isTyping(event: { isComposing?: boolean; keyCode?: number; target: EventTarget | null }): boolean {
  // 229 is what a key press is called while an input method has it.
  if (event.isComposing || event.keyCode === 229) return true;
  const target = event.target as Element | null;
  if (!target || typeof target.closest !== 'function') return false;
  const field = target.closest('input, textarea, select, [contenteditable=""], [contenteditable="true"], [role="textbox"], [role="combobox"]');
  if (!field) return false;
  return !(field instanceof HTMLInputElement && ['range', 'checkbox', 'radio', 'button'].includes(field.type));
}

/** Keys that a button, a link or a list needs for itself while it has the focus. */
function isOwn(event: KeyboardEvent, chord: string): boolean {
  const target = event.target as Element | null;
  if (!target?.closest) return false;
  if (target.closest('[role="dialog"], [role="menu"], [role="listbox"]')) return chord !== 'Escape';
  // What scrolls by itself is scrolled by arrows.
  if (target.closest('.mrv-ecgpaper')) return /^Arrow/.test(chord);
  if (chord === 'Space' || chord === 'Enter') return target.closest('button, a, [role="button"], summary') !== null;
  return target instanceof HTMLInputElement && chord.startsWith('Arrow');
}

/** Calls `run` for every key of the keymap while the component is there. */
export function useViewerKeys(name: KeymapName, changes: KeyChanges | undefined, run: (action: Action) => boolean, enabled = true): Keymap {
  const keymap = useMemo(() => withChanges(name, changes), [name, changes]);
  const latest = useRef(run);
  latest.current = run;
  useEffect(() => {
    if (!enabled) return undefined;
    const pressed = (event: KeyboardEvent) => {
      if (isTyping(event)) return;
      const chord = chordOf(event);
      if (isOwn(event, chord)) return;
      const action = actionOf(keymap, chord);
      if (!action || !latest.current(action)) return;
      event.preventDefault();
      event.stopPropagation();
    };
    // Before Cornerstone, whose panes take every key for themselves.
    window.addEventListener('keydown', pressed, { capture: true });
    return () => window.removeEventListener('keydown', pressed, { capture: true });
  }, [keymap, enabled]);
  return keymap;
}
