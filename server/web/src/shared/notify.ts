// Telling somebody that something has happened: by a sound and by the system's notifications, both by choice, never with patient data.
import { memoByInput } from './memo';
import { preference, usePreference } from './preferences';
import { play, type Sound } from './sounds';

/** What can be told. */
export type Occasion = 'case' | 'stat' | 'critical' | 'report' | 'returned' | 'message';
export const OCCASIONS: readonly Occasion[] = ['case', 'stat', 'critical', 'report', 'returned', 'message'];

/** What somebody has chosen. */
export interface Choices {
  sound: Record<Occasion, boolean>;
  system: Record<Occasion, boolean>;
  /** 0 to 1. */
  volume: number;
}

const SOUNDS: Record<Occasion, Sound> = { case: 'new', stat: 'stat', critical: 'critical', report: 'done', returned: 'new', message: 'done' };

function flags(value: unknown, standard: (occasion: Occasion) => boolean): Record<Occasion, boolean> {
  const given = (value ?? {}) as Partial<Record<Occasion, unknown>>;
  const read = (occasion: Occasion) => (typeof given[occasion] === 'boolean' ? given[occasion] : standard(occasion));
  return Object.fromEntries(OCCASIONS.map((occasion) => [occasion, read(occasion)])) as Record<Occasion, boolean>;
}

/** Makes choices of whatever is kept. Unless chosen otherwise only what is pressing is heard. */
export const readChoices = memoByInput((value: unknown): Choices => {
  const given = (value ?? {}) as { sound?: unknown; system?: unknown; volume?: unknown };
  const volume = typeof given.volume === 'number' ? Math.min(1, Math.max(0, given.volume)) : 0.5;
  return { sound: flags(given.sound, (occasion) => occasion === 'stat' || occasion === 'critical'), system: flags(given.system, () => false), volume };
});

/** The choices of whoever is signed in, and how to change them. */
export function useNotifyChoices(): [Choices, (choices: Choices) => void] {
  return usePreference('notify', readChoices);
}

/** Asks the browser whether its notifications may be used; call it from a click. */
export async function allowNotifications(): Promise<boolean> {
  if (!('Notification' in window)) return false;
  return (await Notification.requestPermission()) === 'granted';
}

const heard = new Map<string, number>();

/**
 * Tells. `text` holds no patient data: it appears on locked screens. `tag` joins what is the same, so that ten events make one
 * notification; the same tag sounds once in five seconds.
 */
export function notify(occasion: Occasion, text: { title: string; body?: string; tag: string }): void {
  const choices = readChoices(preference('notify'));
  const last = heard.get(text.tag) ?? 0;
  if (choices.sound[occasion] && Date.now() - last > 5_000) {
    heard.set(text.tag, Date.now());
    void play(SOUNDS[occasion], choices.volume);
  }
  if (choices.system[occasion] && document.hidden && 'Notification' in window && Notification.permission === 'granted') {
    new Notification(text.title, { body: text.body ?? '', tag: text.tag, silent: true });
  }
}
