// One WebSocket as a control channel and many streams with priorities and credit (PROTOCOL 1), the gateway's end.
import type { Urgency } from './codes';
import { Violation } from './fields';
import { CONTROL, CREDIT_BYTES, decodePiece, encodePiece, PAYLOAD_BYTES, type Piece } from './piece';

/** What is needed of a WebSocket. */
export interface Socket {
  readonly bufferedAmount: number;
  send(bytes: Uint8Array<ArrayBuffer>): void;
}

/** Gives the bytes of a pack from an offset on; none behind its end. */
export type Pull = (offset: number) => Promise<Uint8Array> | Uint8Array;

/** How a stream ended: all of it is with the socket, or it did not go. */
export type Ended = 'sent' | 'broken';

/** What is told about a connection. */
export interface Told {
  control(bytes: Uint8Array): void;
  ended(key: string, how: Ended): void;
  sent(key: string, bytes: number): void;
}

interface Channel {
  key: string;
  age: number;
  urgency: Urgency;
  number: number | null;
  credit: number;
  queue: Uint8Array;
  at: number;
  pull: Pull;
  pulling: boolean;
  whole: boolean;
}

/** Bytes that may wait in the socket, so that an urgent piece overtakes within a moment. */
const SOCKET_BYTES = 64 * 1024;
/** How often a full socket is looked at again, in milliseconds. */
const LOOK_MS = 4;

export class Mux {
  private readonly channels = new Map<string, Channel>();
  private readonly numbers = new Map<number, Channel>();
  private control: Uint8Array[] = [];
  private ends: Piece[] = [];
  private nextNumber = 1;
  private nextAge = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private over = false;

  constructor(
    private readonly socket: Socket,
    private readonly told: Told,
  ) {}

  /** Queues a control frame. */
  send(frame: Uint8Array): void {
    for (let at = 0; at < frame.length; at += PAYLOAD_BYTES) this.control.push(frame.subarray(at, at + PAYLOAD_BYTES));
    this.pump();
  }

  /** Opens a stream: `header` goes first, then what `pull` gives from `offset` on. */
  open(key: string, header: Uint8Array, offset: number, pull: Pull, urgency: Urgency): void {
    this.nextAge += 1;
    const channel: Channel = {
      key, urgency, pull, age: this.nextAge, number: null, credit: CREDIT_BYTES, queue: header, at: offset, pulling: false, whole: false,
    };
    this.channels.set(key, channel);
    this.fill(channel);
    this.pump();
  }

  /** A running stream is more or less urgent from now on. */
  reprioritize(key: string, urgency: Urgency): void {
    const channel = this.channels.get(key);
    if (channel) channel.urgency = urgency;
  }

  /** Gives a stream up, if it runs; nothing more is told about it. */
  giveUp(key: string): void {
    const channel = this.channels.get(key);
    if (channel) this.drop(channel, 0);
    this.pump();
  }

  /** Whether streams run. */
  get running(): number {
    return this.channels.size;
  }

  /** A message of the WebSocket came. */
  take(message: ArrayBuffer): void {
    const piece = decodePiece(message);
    if (piece.channel === CONTROL) {
      if (piece.kind !== 'data' || piece.last) throw new Violation('the control channel has neither end nor credit');
      this.told.control(piece.payload);
      return;
    }
    if (piece.kind === 'data' || piece.kind === 'givenUp') this.foreign(piece);
    else this.answered(piece);
    this.pump();
  }

  /** The connection is over. */
  stop(): void {
    this.over = true;
    clearTimeout(this.timer);
    this.channels.clear();
    this.numbers.clear();
    this.control = [];
    this.ends = [];
  }

  /** The relay opened a stream: a browser asked for none, so it is not wanted; once is enough to say so. */
  private foreign(piece: Extract<Piece, { kind: 'data' | 'givenUp' }>): void {
    if (piece.channel % 2 === 1) throw new Violation('a piece of a channel that its sender did not open');
    if (piece.kind === 'data' && !piece.last) this.ends.push({ kind: 'unwanted', channel: piece.channel, code: 0 });
  }

  private answered(piece: Extract<Piece, { kind: 'unwanted' | 'credit' }>): void {
    if (piece.channel % 2 === 0) throw new Violation('a piece answers a channel of its own sender');
    if (piece.channel >= this.nextNumber) throw new Violation('a piece answers a channel that was never opened');
    const channel = this.numbers.get(piece.channel);
    if (!channel) return;
    if (piece.kind === 'credit') {
      channel.credit += piece.more;
      return;
    }
    this.drop(channel, piece.code);
    this.told.ended(channel.key, 'broken');
  }

  private drop(channel: Channel, code: number): void {
    this.forget(channel);
    if (channel.number !== null) this.ends.push({ kind: 'givenUp', channel: channel.number, code });
  }

  private forget(channel: Channel): void {
    this.channels.delete(channel.key);
    if (channel.number !== null) this.numbers.delete(channel.number);
  }

  private fill(channel: Channel): void {
    if (channel.pulling || channel.whole || channel.queue.length >= PAYLOAD_BYTES * 4) return;
    channel.pulling = true;
    const came = channel.pull(channel.at);
    if (came instanceof Uint8Array) {
      this.filled(channel, came);
      return;
    }
    came.then(
      (bytes) => {
        this.filled(channel, bytes);
        this.pump();
      },
      () => {
        if (this.channels.get(channel.key) !== channel) return;
        this.drop(channel, 0);
        this.told.ended(channel.key, 'broken');
        this.pump();
      },
    );
  }

  private filled(channel: Channel, bytes: Uint8Array): void {
    channel.pulling = false;
    if (bytes.length === 0) {
      channel.whole = true;
      return;
    }
    channel.at += bytes.length;
    const joined = new Uint8Array(channel.queue.length + bytes.length);
    joined.set(channel.queue);
    joined.set(bytes, channel.queue.length);
    channel.queue = joined;
  }

  private pump(): void {
    if (this.over) return;
    clearTimeout(this.timer);
    while (this.socket.bufferedAmount < SOCKET_BYTES) {
      const piece = this.next();
      if (!piece) return;
      this.socket.send(encodePiece(piece));
      if (this.over) return;
    }
    this.timer = setTimeout(() => this.pump(), LOOK_MS);
  }

  private next(): Piece | null {
    const frame = this.control.shift();
    if (frame) return { kind: 'data', channel: CONTROL, last: false, payload: frame };
    const end = this.ends.shift();
    if (end) return end;
    let best: Channel | null = null;
    for (const channel of this.channels.values()) {
      const ready = channel.queue.length > 0 ? channel.credit > 0 : channel.whole;
      if (!ready) continue;
      if (!best || channel.urgency < best.urgency || (channel.urgency === best.urgency && channel.age < best.age)) best = channel;
    }
    return best ? this.cut(best) : null;
  }

  private cut(channel: Channel): Piece {
    if (channel.number === null) {
      channel.number = this.nextNumber;
      this.numbers.set(channel.number, channel);
      this.nextNumber += 2;
    }
    const size = Math.min(channel.queue.length, channel.credit, PAYLOAD_BYTES);
    const payload = channel.queue.subarray(0, size);
    channel.queue = channel.queue.subarray(size);
    channel.credit -= size;
    this.told.sent(channel.key, size);
    this.fill(channel);
    const last = channel.whole && channel.queue.length === 0;
    const piece: Piece = { kind: 'data', channel: channel.number, last, payload };
    if (last) {
      this.forget(channel);
      // Told after the piece is with the socket.
      queueMicrotask(() => {
        if (!this.over) this.told.ended(channel.key, 'sent');
      });
    }
    return piece;
  }
}
