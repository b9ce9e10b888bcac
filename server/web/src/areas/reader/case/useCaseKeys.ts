// The keys of the case page. All of them have a modifier or are function keys, and none does anything while an input method composes.
import { useEffect, useRef } from 'react';

export interface CaseKeys {
  signAndNext: () => void;
  save: () => void;
  template: (index: number) => void;
  toggleFocus: () => void;
  critical: () => void;
}

/** What a key press asks for; `null` for anything else. */
export function askedBy(event: Pick<KeyboardEvent, 'key' | 'code' | 'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey' | 'isComposing' | 'keyCode'>): keyof CaseKeys | { template: number } | null {
  if (event.isComposing || event.keyCode === 229) return null;
  const control = event.ctrlKey || event.metaKey;
  if (control && !event.altKey && !event.shiftKey && event.key === 'Enter') return 'signAndNext';
  if (control && !event.altKey && !event.shiftKey && event.code === 'KeyS') return 'save';
  if (control && event.shiftKey && !event.altKey && event.code === 'KeyC') return 'critical';
  if (!control && !event.altKey && !event.shiftKey && event.key === 'F2') return 'toggleFocus';
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1];
  if (event.altKey && !control && !event.shiftKey && digit) return { template: Number(digit) - 1 };
  return null;
}

/** Listens while the page is there; not in dialogues, which have keys of their own. */
export function useCaseKeys(keys: CaseKeys, enabled: boolean): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    if (!enabled) return undefined;
    const pressed = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.repeat) return;
      const asked = askedBy(event);
      if (asked === null) return;
      // The browser's own meaning (save the page, inspect) is not wanted here either way.
      event.preventDefault();
      if ((event.target as Element | null)?.closest?.('[role="dialog"]')) return;
      if (typeof asked === 'object') latest.current.template(asked.template);
      else if (asked !== 'template') latest.current[asked]();
    };
    window.addEventListener('keydown', pressed);
    return () => window.removeEventListener('keydown', pressed);
  }, [enabled]);
}
