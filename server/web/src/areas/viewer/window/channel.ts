// How the windows of one person speak with each other: which case, what is marked. Same origin, same machine, nothing is stored.
import type { KeyChanges, KeymapName, StudyRef, ViewState } from '../types';

export interface CaseShown {
  caseId: string;
  studies: StudyRef[];
  keymap: KeymapName;
  keyChanges: KeyChanges | null;
  readOnly: boolean;
  pixelsPerMillimetre: number | null;
  state: ViewState | null;
}

export type Word =
  /** A second window is there and asks what to show. */
  | { kind: 'hello' }
  /** The case page shows this. */
  | { kind: 'case'; shown: CaseShown }
  /** Something was marked. */
  | { kind: 'state'; caseId: string; from: 'page' | 'second'; state: ViewState }
  /** So much of the images has been on the second screen. */
  | { kind: 'seen'; caseId: string; share: number }
  /** A second window closes. */
  | { kind: 'bye' };

/** Opens the channel; answers are given to `hear`. */
export function openChannel(hear: (word: Word) => void): { say(word: Word): void; close(): void } {
  const channel = new BroadcastChannel('medrelay.viewer');
  channel.onmessage = (message: MessageEvent<Word>) => hear(message.data);
  return { say: (word) => channel.postMessage(word), close: () => channel.close() };
}
