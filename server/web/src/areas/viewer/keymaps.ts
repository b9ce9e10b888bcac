// Three sets of keys as data, what somebody changed of them, and what stands twice.
import { actions, isAction, type Action } from './actions';
import type { KeyChanges, KeymapName } from './types';

/** Keys of an action, such as `Ctrl+z` or `Shift+ArrowDown`. Letters are small; `+`, `?` and their like stand without Shift. */
export type Keymap = Record<Action, readonly string[]>;

const medrelay: Keymap = {
  'tool.window': ['w'], 'tool.zoom': ['z'], 'tool.pan': ['m'], 'tool.length': ['d'], 'tool.angle': ['a'], 'tool.rectangle': ['r'],
  'tool.ellipse': ['e'], 'tool.freehand': ['f'], 'tool.probe': ['p'], 'tool.arrow': ['q'], 'tool.text': ['t'],
  'rotate.right': [']'], 'rotate.left': ['['], 'flip.horizontal': ['h'], 'flip.vertical': ['v'], 'invert': ['i'],
  'zoom.in': ['+', '='], 'zoom.out': ['-'], 'fit': ['Backspace'], 'reset': ['Space'],
  'window.auto': ['0'], 'window.file': ['`'], 'window.1': ['1'], 'window.2': ['2'], 'window.3': ['3'], 'window.4': ['4'],
  'window.5': ['5'], 'window.6': ['6'], 'window.7': ['7'], 'window.8': ['8'], 'window.9': ['9'],
  'image.next': ['ArrowDown'], 'image.previous': ['ArrowUp'], 'image.next10': ['Shift+ArrowDown'], 'image.previous10': ['Shift+ArrowUp'],
  'image.first': ['Home'], 'image.last': ['End'], 'series.next': ['PageDown'], 'series.previous': ['PageUp'],
  'pane.next': ['ArrowRight'], 'pane.previous': ['ArrowLeft'], 'cine.toggle': ['c'], 'cine.faster': ['.'], 'cine.slower': [','],
  'key.toggle': ['k'], 'key.next': ['n'], 'undo': ['Ctrl+z'], 'redo': ['Ctrl+y', 'Ctrl+Shift+z'], 'mark.delete': ['Delete'],
  'marks.toggle': ['g'], 'overlay.toggle': ['o'], 'mpr.toggle': ['x'], 'sync.toggle': ['s'], 'layout.1': ['Shift+1'],
  'layout.2': ['Shift+2'], 'layout.4': ['Shift+4'], 'layout.protocol': ['Shift+0'], 'full.toggle': ['Shift+f'], 'help': ['?', 'F1'],
  'cancel': ['Escape'],
};

const ohif: Keymap = {
  ...medrelay,
  'tool.pan': ['p'], 'tool.length': ['m'], 'tool.rectangle': ['Shift+r'], 'tool.probe': ['b'],
  'rotate.right': ['r'], 'rotate.left': ['l'], 'fit': ['='], 'zoom.in': ['+'],
  'window.auto': ['0', 'Shift+w'],
};

const weasis: Keymap = {
  ...medrelay,
  'tool.pan': ['t'], 'tool.text': ['b'], 'tool.zoom': ['z'], 'tool.rectangle': ['r'],
  'rotate.right': ['Alt+r'], 'rotate.left': ['Alt+l'], 'flip.horizontal': ['Alt+f'], 'flip.vertical': ['Alt+v'], 'reset': ['Escape'],
  'cancel': ['Backspace'], 'fit': ['*'], 'image.next10': ['Shift+ArrowDown'], 'image.previous10': ['Shift+ArrowUp'],
  'series.next': ['ArrowRight', 'PageDown'], 'series.previous': ['ArrowLeft', 'PageUp'], 'pane.next': ['Ctrl+ArrowRight'], 'pane.previous': ['Ctrl+ArrowLeft'],
  'window.file': ['1'], 'window.1': ['3'], 'window.2': ['4'], 'window.3': ['5'], 'window.4': ['6'], 'window.5': ['7'], 'window.6': ['8'],
  'window.7': ['9'], 'window.8': ['2'], 'window.9': ['`'], 'invert': ['i'],
};

export const keymaps: Record<KeymapName, Keymap> = { medrelay, ohif, weasis };
export const keymapNames: readonly KeymapName[] = ['medrelay', 'ohif', 'weasis'];

/** Keys of the report beside the images, which no action here may take. */
export const reserved: readonly string[] = [
  'Ctrl+Enter', 'Ctrl+s', 'F2', 'Ctrl+Shift+c', ...Array.from({ length: 9 }, (_, at) => `Alt+${at + 1}`),
];

/** A set of keys with somebody's own changes. */
export function withChanges(name: KeymapName, changes: KeyChanges | undefined): Keymap {
  const own = Object.entries(changes ?? {}).filter(([action]) => isAction(action));
  return { ...keymaps[name], ...Object.fromEntries(own) } as Keymap;
}

export interface Conflict {
  chord: string;
  actions: string[];
}

/** Every chord that stands for more than one thing, or belongs to the report. */
export function conflictsOf(keymap: Keymap): Conflict[] {
  const by = new Map<string, string[]>(reserved.map((chord) => [chord, ['report']]));
  for (const action of actions) {
    for (const chord of keymap[action]) by.set(chord, [...(by.get(chord) ?? []), action]);
  }
  return [...by].filter(([, owners]) => owners.length > 1).map(([chord, owners]) => ({ chord, actions: owners }));
}

/**
 * The changes with one action on another chord: whatever had the chord before loses it, and is named. `null` when the report has it.
 */
export function reassigned(name: KeymapName, changes: KeyChanges, action: Action, chord: string): { changes: KeyChanges; taken: Action[] } | null {
  if (reserved.includes(chord)) return null;
  const now = withChanges(name, changes);
  const taken = actions.filter((other) => other !== action && now[other].includes(chord));
  const lost = taken.map((other) => [other, now[other].filter((one) => one !== chord)] as const);
  return { changes: { ...changes, ...Object.fromEntries(lost), [action]: [chord] }, taken };
}

const SIGNS: Record<string, string> = { ArrowUp: '↑', ArrowDown: '↓', ArrowLeft: '←', ArrowRight: '→', Escape: 'Esc' };

/** A chord as it stands on keyboards. */
export function chordText(chord: string): string {
  return chord.replace(/Arrow(?:Up|Down|Left|Right)|Escape/, (key) => SIGNS[key] ?? key);
}

export interface Pressed {
  key: string;
  code?: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  shiftKey: boolean;
}

/** The chord of a key press, the same on every layout. */
export function chordOf(event: Pressed): string {
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code ?? '')?.[1];
  const letter = /^[a-z]$/i.test(event.key);
  let key = event.key === ' ' ? 'Space' : letter ? event.key.toLowerCase() : event.key;
  // Shift+1 is `!` on one keyboard and `1` on another: the digit counts.
  if (digit && event.shiftKey) key = digit;
  const shift = event.shiftKey && (letter || key.length > 1 || digit !== undefined);
  const front = `${event.ctrlKey || event.metaKey ? 'Ctrl+' : ''}${event.altKey ? 'Alt+' : ''}${shift ? 'Shift+' : ''}`;
  return front + key;
}

/** The action of a chord. */
export function actionOf(keymap: Keymap, chord: string): Action | null {
  return actions.find((action) => keymap[action].includes(chord)) ?? null;
}
