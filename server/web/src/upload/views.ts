// What the worker tells the page: studies that lie here, studies under way, and what was left out.
import type { Outcome, Urgency } from './codes';
import type { Issue } from './group';
import type { Patient, Skip } from './parse';

/** A study in short. */
export interface Card {
  key: string;
  uid: string;
  patient: Patient;
  modalities: string[];
  bodyPart: string;
  studyDate: string;
  studyTime: string;
  description: string;
  accession: string;
  series: number;
  images: number;
  instances: number;
  bytes: number;
}

/** A study that waits for a person's word. */
export interface Draft extends Card {
  issues: Issue[];
  /** Files with a number that occurs twice and other content. */
  conflicts: number;
  /** Other patients of the same drop, by name. */
  others: string[];
}

/** Why something of a study did not go. */
export type Fault = 'unreadable' | 'changed' | 'missing' | 'receipt' | `code${number}`;

/** Where a study is. */
export type State =
  | 'hashing'
  | 'waiting'
  | 'sending'
  | 'checking'
  | 'paused'
  | 'needsPermission'
  | 'needsFiles'
  | 'finding'
  | 'elsewhere'
  | 'committed'
  | 'failed';

/** A study under way. */
export interface Sending {
  id: string;
  card: Card;
  clinic: string;
  urgency: Urgency;
  state: State;
  /** Files whose hash is known; entries that the relay has, before and now; all of them. */
  hashed: number;
  there: number;
  entries: number;
  /** Original bytes that the relay has or that are on their way, and all of them. */
  bytesThere: number;
  bytes: number;
  /** Bytes a second on the line, and seconds left; null while that is not known. */
  speed: number | null;
  secondsLeft: number | null;
  /** The relay has no room for it now; it is tried again by itself. */
  waitsForSpace: boolean;
  faults: { why: Fault; count: number; paths: string[] }[];
  aside: { outcome: Outcome; count: number }[];
  /** Whether it goes on by itself (or after one click) when the page was closed. */
  kept: boolean;
  byItself: boolean;
  committedAt: number | null;
  /** Files that wait for the permission to be read again. */
  roots: FileSystemHandle[];
}

/** How the line to the relay is. */
export type LineState = 'idle' | 'connecting' | 'open' | 'broken' | 'signedOut' | 'notAllowed' | 'closed' | 'incompatible';

const GRAVITY: LineState[] = ['signedOut', 'closed', 'incompatible', 'notAllowed', 'broken', 'connecting', 'open', 'idle'];

/** The state of several lines that matters most to a person. */
export function worst(states: LineState[]): LineState {
  return GRAVITY.find((state) => states.includes(state)) ?? 'idle';
}

/** Everything that the page shows. */
export interface Snapshot {
  taking: { files: number; images: number } | null;
  drafts: Draft[];
  sending: Sending[];
  skipped: { why: Skip | 'copy'; count: number; paths: string[] }[];
  line: LineState;
  limits: { instanceBytes: number; entries: number } | null;
}

export const EMPTY: Snapshot = { taking: null, drafts: [], sending: [], skipped: [], line: 'idle', limits: null };

/** What the page asks of the worker. */
export type Ask =
  | { ask: 'begin'; person: string; clinics: string[] }
  | { ask: 'take'; drop: number; given: ({ handle: FileSystemHandle } | { file: File; path: string })[]; last: boolean }
  | { ask: 'stopTaking' }
  | { ask: 'send'; key: string; clinic: string; urgency: Urgency }
  | { ask: 'discard'; key: string }
  | { ask: 'clearSkipped' }
  | { ask: 'pause' | 'goOn' | 'cancel' | 'retry' | 'without' | 'dismiss' | 'granted'; id: string }
  | { ask: 'urgency'; id: string; urgency: Urgency };

/** What the worker tells. */
export type Told =
  | { told: 'snapshot'; snapshot: Snapshot }
  | { told: 'thumbnail'; key: string; width: number; height: number; pixels: Uint8ClampedArray<ArrayBuffer> };
