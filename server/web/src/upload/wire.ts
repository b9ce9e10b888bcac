// Control frames and stream headers as bytes (PROTOCOL 2 and 3). Reading is strict; only what a browser's link can meet is known by
// content: items, certificates and measures never come to it.
import { ENTRIES, FRAME_BYTES, type Outcome, type Urgency } from './codes';
import { Reader, Violation, Writer } from './fields';

/** The end of the greeting. */
export interface Welcome {
  version: number;
  relay: string;
  gateway: string;
  clinic: string;
  clinicName: string;
  clock: number;
  receiptKey: Uint8Array;
  streams: number;
  instanceBytes: number;
  entries: number;
}

/** A pack that began to arrive. */
export interface Begun {
  index: number;
  pack: Uint8Array;
  offset: number;
}

/** A control frame. */
export type Message =
  | { type: 'hello'; versions: readonly number[]; software: string; clock: number }
  | { type: 'challenge'; nonce: Uint8Array }
  | ({ type: 'welcome' } & Welcome)
  | { type: 'offer'; study: number; manifest: Uint8Array; signature: Uint8Array }
  | { type: 'need'; study: number; states: (Outcome | null)[]; partial: Begun[] }
  | { type: 'stored'; study: number; entries: [number, Outcome][] }
  | { type: 'refused'; study: number; index: number | null; code: number; retryMs: number; detail: string }
  | { type: 'committed'; study: number; receipt: Uint8Array; signature: Uint8Array }
  | { type: 'priority'; study: number; urgency: Urgency }
  | { type: 'withdraw'; study: number }
  | { type: 'goaway'; code: number; retryMs: number; detail: string }
  | { type: 'other'; kind: number };

const WHOLE = 0xffffffff;
const KINDS = {
  hello: 0x01,
  challenge: 0x02,
  welcome: 0x04,
  offer: 0x10,
  need: 0x11,
  stored: 0x12,
  refused: 0x13,
  committed: 0x14,
  priority: 0x15,
  withdraw: 0x16,
  goaway: 0x3f,
} as const;
/** Types of the protocol that have no business on a browser's link: PROOF, items, certificates, measures. */
const FOREIGN = new Set([0x03, 0x20, 0x21, 0x22, 0x30, 0x31, 0x38, 0x39]);

/** The whole frame: length, type, body. */
export function encodeMessage(message: Message): Uint8Array<ArrayBuffer> {
  const kind = message.type === 'other' ? message.kind : KINDS[message.type];
  const frame = new Writer(message.type === 'offer' ? message.manifest.length + 64 : 128).u32(0).u8(kind);
  writeBody(frame, message);
  const bytes = frame.done();
  new DataView(bytes.buffer).setUint32(0, bytes.length - 4);
  return bytes;
}

function writeBody(frame: Writer, message: Message): void {
  switch (message.type) {
    case 'hello':
      frame.u32(message.versions.length);
      for (const version of message.versions) frame.u16(version);
      frame.text(message.software).time(message.clock);
      break;
    case 'challenge':
      frame.raw(message.nonce);
      break;
    case 'welcome':
      frame.u16(message.version).text(message.relay).text(message.gateway).text(message.clinic).text(message.clinicName);
      frame.time(message.clock).raw(message.receiptKey).u16(message.streams).u64(message.instanceBytes).u32(message.entries);
      break;
    case 'offer':
      frame.u32(message.study).byteString(message.manifest).byteString(message.signature);
      break;
    case 'need':
      frame.u32(message.study).u32(message.states.length);
      for (const state of message.states) frame.u8(state ?? 0);
      frame.u32(message.partial.length);
      for (const partial of message.partial) frame.u32(partial.index).raw(partial.pack).u64(partial.offset);
      break;
    case 'stored':
      frame.u32(message.study).u32(message.entries.length);
      for (const [index, outcome] of message.entries) frame.u32(index).u8(outcome);
      break;
    case 'refused':
      frame.u32(message.study).u32(message.index ?? WHOLE).u8(message.code).u32(message.retryMs).text(message.detail);
      break;
    case 'committed':
      frame.u32(message.study).byteString(message.receipt).byteString(message.signature);
      break;
    case 'priority':
      frame.u32(message.study).u8(message.urgency);
      break;
    case 'withdraw':
      frame.u32(message.study);
      break;
    case 'goaway':
      frame.u8(message.code).u32(message.retryMs).text(message.detail);
      break;
    case 'other':
      break;
  }
}

/** Reads what follows the length of a frame: type and body. */
export function decodeMessage(frame: Uint8Array): Message {
  const reader = new Reader(frame);
  const kind = reader.u8();
  if (kind >= 0x80 || FOREIGN.has(kind)) return { type: 'other', kind };
  const message = readBody(kind, reader);
  reader.end();
  return message;
}

function readBody(kind: number, reader: Reader): Message {
  switch (kind) {
    case KINDS.hello:
      return { type: 'hello', versions: reader.list(2, 64, () => reader.u16()), software: reader.text(), clock: reader.time() };
    case KINDS.challenge:
      return { type: 'challenge', nonce: reader.hash() };
    case KINDS.welcome:
      return {
        type: 'welcome',
        version: reader.u16(),
        relay: reader.text(),
        gateway: reader.text(),
        clinic: reader.text(),
        clinicName: reader.text(),
        clock: reader.time(),
        receiptKey: reader.hash(),
        streams: reader.u16(),
        instanceBytes: reader.u64(),
        entries: reader.u32(),
      };
    case KINDS.offer:
      return { type: 'offer', study: reader.u32(), manifest: reader.byteString(), signature: reader.byteString() };
    case KINDS.need:
      return readNeed(reader);
    case KINDS.stored:
      return { type: 'stored', study: reader.u32(), entries: readOutcomes(reader) };
    case KINDS.refused: {
      const study = reader.u32();
      const index = reader.u32();
      const code = within(reader.u8(), 1, 10, 'no refusal code');
      return { type: 'refused', study, index: index === WHOLE ? null : index, code, retryMs: reader.u32(), detail: reader.text() };
    }
    case KINDS.committed:
      return { type: 'committed', study: reader.u32(), receipt: reader.byteString(), signature: reader.byteString() };
    case KINDS.priority:
      return { type: 'priority', study: reader.u32(), urgency: within(reader.u8(), 0, 2, 'no priority') as Urgency };
    case KINDS.withdraw:
      return { type: 'withdraw', study: reader.u32() };
    case KINDS.goaway:
      return { type: 'goaway', code: within(reader.u8(), 0, 9, 'no close code'), retryMs: reader.u32(), detail: reader.text() };
    default:
      throw new Violation('an unknown type');
  }
}

function readNeed(reader: Reader): Message {
  return {
    type: 'need',
    study: reader.u32(),
    states: reader.list(1, ENTRIES, () => {
      const state = reader.u8();
      return state === 0 ? null : outcomeOf(state);
    }),
    partial: reader.list(44, ENTRIES, () => ({ index: reader.u32(), pack: reader.hash(), offset: reader.u64() })),
  };
}

/** A list of entries and what became of them. */
export function readOutcomes(reader: Reader): [number, Outcome][] {
  return reader.list(5, ENTRIES, () => [reader.u32(), outcomeOf(reader.u8())]);
}

function outcomeOf(code: number): Outcome {
  return within(code, 1, 4, 'no outcome') as Outcome;
}

function within(value: number, least: number, most: number, rule: string): number {
  if (value < least || value > most) throw new Violation(rule);
  return value;
}

/** Cuts the control channel into messages as its bytes come. */
export class Frames {
  private buffer: Uint8Array = new Uint8Array(0);

  /** Takes what came and gives the messages that are whole. A violation is for good. */
  feed(bytes: Uint8Array): Message[] {
    const joined = new Uint8Array(this.buffer.length + bytes.length);
    joined.set(this.buffer);
    joined.set(bytes, this.buffer.length);
    const view = new DataView(joined.buffer);
    const messages: Message[] = [];
    let at = 0;
    while (joined.length - at >= 4) {
      const length = view.getUint32(at);
      if (length === 0 || length > FRAME_BYTES) throw new Violation('a frame is empty or longer than 4 MiB');
      if (joined.length - at - 4 < length) break;
      messages.push(decodeMessage(joined.subarray(at + 4, at + 4 + length)));
      at += 4 + length;
    }
    this.buffer = joined.slice(at);
    return messages;
  }
}

/** What an instance's stream begins with. */
export interface StreamHeader {
  study: number;
  index: number;
  offset: number;
  packBytes: number;
  pack: Uint8Array;
}

/** The header as bytes. */
export function encodeHeader(header: StreamHeader): Uint8Array<ArrayBuffer> {
  const bytes = new Writer(57).u8(0x01).u32(header.study).u32(header.index);
  return bytes.u64(header.offset).u64(header.packBytes).raw(header.pack).done();
}

/** Reads a header that is there as a whole. */
export function decodeHeader(bytes: Uint8Array): StreamHeader {
  const reader = new Reader(bytes.subarray(0, 57));
  if (reader.u8() !== 0x01) throw new Violation('a stream of an unknown kind');
  const header = { study: reader.u32(), index: reader.u32(), offset: reader.u64(), packBytes: reader.u64(), pack: reader.hash() };
  if (header.offset > header.packBytes) throw new Violation('a stream begins behind the end of its pack');
  return header;
}
