// The numbers and limits of the clinic link that both ends agree on (PROTOCOL 3, 7, 9).

/** How soon a study is to go: smaller is sooner. */
export type Urgency = 0 | 1 | 2;
export const STAT: Urgency = 0;
export const URGENT: Urgency = 1;
export const ROUTINE: Urgency = 2;

/** What became of an entry: 1 stored, put aside because 2 other bytes, 3 another clinic's, 4 another patient's. */
export type Outcome = 1 | 2 | 3 | 4;

/** Why the relay did not take something (PROTOCOL 7). */
export const REFUSAL = {
  outOfSpace: 1,
  busy: 2,
  notAnnounced: 3,
  damaged: 4,
  otherBytes: 5,
  unreadable: 6,
  tooLarge: 7,
  badManifest: 8,
  badSignature: 9,
  otherClinic: 10,
} as const;

/** Whether the same thing may be taken later without a person's doing. */
export function passes(code: number): boolean {
  return code === REFUSAL.outOfSpace || code === REFUSAL.busy || code === REFUSAL.damaged;
}

/** Why a connection ends (PROTOCOL 7). */
export const CLOSE = {
  done: 0,
  version: 1,
  violation: 2,
  revoked: 3,
  proof: 4,
  stopping: 5,
  crowded: 6,
  moved: 7,
  idle: 8,
  closed: 9,
} as const;

/** WebSocket subprotocol, and the versions of the protocol that this program speaks. */
export const SUBPROTOCOL = 'medrelay.1';
export const VERSIONS: readonly number[] = [1];

export const FRAME_BYTES = 4 << 20;
export const ENTRIES = 20_000;
export const STUDIES = 64;
export const STUDIES_KEPT = 2;
export const STREAMS = 16;
export const STREAMS_KEPT = 2;
/** Entries on streams or waiting for STORED, for every place of a stream. */
export const UNCONFIRMED = 4;
export const AHEAD_BYTES = 64 << 20;
export const AHEAD_PACKS = 256;
/** Bytes of the original in one segment of a pack at most (part of the format). */
export const PIECE_BYTES = 2 << 20;
