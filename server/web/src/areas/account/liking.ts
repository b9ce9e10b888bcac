// What somebody has chosen for reading: keys, hand, and what the check of the display gave.
import { memoByInput } from '@/shared/memo';
import { usePreference } from '@/shared/preferences';

export const KEYMAPS = ['medrelay', 'ohif', 'weasis'] as const;
export type Keymap = (typeof KEYMAPS)[number];
export type Hand = 'right' | 'left';

/** What the check of a display gave. */
export interface Checked {
  /** When, in microseconds UTC. */
  at: number;
  webgl: boolean;
  /** The processor draws in place of a graphics card. */
  software: boolean;
  /** CSS pixels per millimetre, measured with a card; `null` when it was skipped. */
  pxPerMm: number | null;
  /** Device pixels per CSS pixel. */
  ratio: number;
  width: number;
  height: number;
  grey: boolean | null;
  lines: boolean | null;
  second: boolean;
}

const readKeymap = (value: unknown): Keymap => KEYMAPS.find((name) => name === value) ?? 'medrelay';
const readHand = (value: unknown): Hand => (value === 'left' ? 'left' : 'right');
const readChecked = memoByInput((value: unknown): Checked | null => (value !== null && typeof value === 'object' && 'at' in value ? (value as Checked) : null));

/** The set of keys, and how to choose another. */
export function useKeymap(): [Keymap, (name: Keymap) => void] {
  return usePreference('keymap', readKeymap);
}

/** The hand that holds the mouse, and how to choose the other. */
export function useHand(): [Hand, (hand: Hand) => void] {
  return usePreference('hand', readHand);
}

/** The last check of a display, if there was one. */
export function useChecked(): [Checked | null, (checked: Checked | null) => void] {
  return usePreference('display', readChecked);
}
