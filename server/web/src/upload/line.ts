// The line to the relay for one clinic: a WebSocket that comes back by itself, driven by the gateway's machine.
import { CLOSE, SUBPROTOCOL, type Urgency } from './codes';
import { Violation } from './fields';
import { type Act, Session } from './machine';
import { Mux } from './mux';
import type { Offer, PackInfo, Step } from './progress';
import type { LineState } from './views';
import { encodeHeader, encodeMessage, Frames, type Welcome } from './wire';

/** A pack as it is held until the relay has it. */
export interface Held {
  info: PackInfo;
  data: Uint8Array | Blob;
}

/** What the line needs, and whom it tells. */
export interface Host {
  /** Makes a pack; null when that cannot be done. */
  pack(key: string, index: number): Promise<Held | null>;
  told(step: Extract<Step, { do: 'known' | 'stored' | 'postponed' | 'refused' | 'withdrawn' | 'committed' }>): void;
  welcomed(welcome: Welcome): void;
  /** So much of a pack (0 to 1) is with the socket; null when it may have to go again. */
  moved(key: string, index: number, share: number | null): void;
  state(state: LineState): void;
}

const SOFTWARE = 'medrelay-web';
const FIRST_GAP_MS = 100;
const LONGEST_GAP_MS = 5_000;
const SILENCE_MS = 45_000;
/** How long the relay may take to read a study back before its silence counts. */
const PATIENCE_MS = 150_000;
const LEAVING_MS = 10_000;
const IDLE_MS = 8_000;
const GREETING_MS = 15_000;
const LOOK_MS = 1_000;
/** Packs that an earlier connection left are kept up to this size. */
const LEFT_BYTES = 64 << 20;
const BLOB_STEP = 256 * 1024;
const MOST_VIOLATIONS = 4;

interface Connection {
  socket: WebSocket;
  mux: Mux;
  session: Session;
  frames: Frames;
  began: number;
  heard: number;
  buffered: number;
  idleSince: number;
  leavingSince: number | null;
  retryMs: number;
  opened: boolean;
}

export class Line {
  private readonly offers = new Map<string, Offer>();
  private readonly packs = new Map<string, Held>();
  private readonly making = new Set<string>();
  /** How far the streams that run are. */
  private readonly places = new Map<string, number>();
  private now: Connection | null = null;
  private again: ReturnType<typeof setTimeout> | undefined;
  private due: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;
  private violations = 0;
  private stopped: LineState | null = null;
  private wanted = false;

  constructor(
    private readonly url: string,
    private readonly host: Host,
  ) {
    self.addEventListener('online', () => this.hurry());
    self.addEventListener('offline', () => this.now && this.lost(this.now, null));
    setInterval(() => this.look(), LOOK_MS);
  }

  /** Connects once, to learn what the relay takes. */
  greet(): void {
    this.wanted = true;
    this.connect();
  }

  offer(offer: Offer): void {
    this.offers.set(offer.key, offer);
    this.stopped = this.stopped === 'signedOut' ? this.stopped : null;
    if (this.now?.session.isWelcome) this.perform(this.now, this.now.session.offer({ ...offer }));
    else this.connect();
  }

  withdraw(key: string): void {
    this.offers.delete(key);
    if (this.now) this.perform(this.now, this.now.session.withdraw(key));
    for (const name of [...this.packs.keys()]) if (name.startsWith(`${key}/`)) this.packs.delete(name);
  }

  reprioritize(key: string, urgency: Urgency): void {
    const offer = this.offers.get(key);
    if (offer) offer.urgency = urgency;
    if (this.now) this.perform(this.now, this.now.session.reprioritize(key, urgency));
  }

  /** Tries at once, whatever was said before. */
  hurry(): void {
    this.failures = 0;
    if (this.stopped !== 'signedOut') this.stopped = null;
    if (!this.now && (this.offers.size > 0 || this.wanted)) this.connect();
  }

  private connect(): void {
    clearTimeout(this.again);
    if (this.now || this.stopped) return;
    this.host.state('connecting');
    let socket: WebSocket;
    try {
      socket = new WebSocket(this.url, SUBPROTOCOL);
    } catch {
      this.rest(LONGEST_GAP_MS);
      return;
    }
    socket.binaryType = 'arraybuffer';
    const at = Date.now();
    const mux = new Mux(socket, {
      control: (bytes) => this.control(bytes),
      ended: (name, how) => this.ended(name, how),
      sent: (name, bytes) => this.sent(name, bytes),
    });
    const connection: Connection = {
      socket, mux, session: new Session(SOFTWARE), frames: new Frames(), began: at, heard: at, buffered: 0, idleSince: at, leavingSince: null, retryMs: 0, opened: false,
    };
    this.now = connection;
    socket.onopen = () => {
      connection.opened = true;
      connection.heard = Date.now();
      this.perform(connection, connection.session.start(Date.now()));
    };
    socket.onmessage = (message: MessageEvent<unknown>) => this.guarded(connection, () => {
      connection.heard = Date.now();
      if (!(message.data instanceof ArrayBuffer)) throw new Violation('a text on the link');
      connection.mux.take(message.data);
    });
    socket.onclose = (event) => this.lost(connection, event.code >= 4000 && event.code < 4100 ? event.code - 4000 : null);
  }

  private guarded(connection: Connection, work: () => void): void {
    if (this.now !== connection) return;
    try {
      work();
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      connection.socket.close(4000 + CLOSE.violation);
      this.lost(connection, CLOSE.violation);
    }
  }

  private control(bytes: Uint8Array): void {
    const connection = this.now;
    if (!connection) return;
    for (const message of connection.frames.feed(bytes)) this.perform(connection, connection.session.handle(message, Date.now()));
  }

  private perform(connection: Connection, acts: Act[]): void {
    if (this.now !== connection) return;
    for (const act of acts) this.act(connection, act);
    clearTimeout(this.due);
    const next = connection.session.nextTick();
    if (next !== null) this.due = setTimeout(() => this.perform(connection, connection.session.tick(Date.now())), Math.max(0, next - Date.now()));
  }

  private act(connection: Connection, act: Act): void {
    switch (act.do) {
      case 'send':
        connection.mux.send(encodeMessage(act.message));
        break;
      case 'welcomed':
        this.welcomed(connection, act.welcome);
        break;
      case 'prepare':
        this.prepare(act.key, act.index);
        break;
      case 'transmit':
        this.transmit(connection, act);
        break;
      case 'urgency':
        connection.mux.reprioritize(nameOf(act.key, act.index), act.urgency);
        break;
      case 'drop':
        this.packs.delete(nameOf(act.key, act.index));
        connection.mux.giveUp(nameOf(act.key, act.index));
        break;
      case 'goaway':
        this.goaway(connection, act.code, act.retryMs, act.open);
        break;
      case 'committed':
      case 'withdrawn':
        this.offers.delete(act.key);
        this.host.told(act);
        break;
      case 'refused':
        if (act.index === null) this.offers.delete(act.key);
        this.host.told(act);
        break;
      default:
        this.host.told(act);
    }
  }

  private welcomed(connection: Connection, welcome: Welcome): void {
    this.failures = 0;
    this.violations = 0;
    this.wanted = false;
    this.host.welcomed(welcome);
    this.host.state('open');
    // Offered after the acts of this message: the machine is in its hands now.
    queueMicrotask(() => {
      for (const offer of this.offers.values()) this.perform(connection, connection.session.offer({ ...offer }));
    });
  }

  private prepare(key: string, index: number): void {
    const name = nameOf(key, index);
    const held = this.packs.get(name);
    if (held) {
      queueMicrotask(() => this.packed(key, index, held));
      return;
    }
    if (this.making.has(name)) return;
    this.making.add(name);
    void this.host.pack(key, index).then((made) => {
      this.making.delete(name);
      this.packed(key, index, made);
    });
  }

  private packed(key: string, index: number, made: Held | null): void {
    const connection = this.now;
    if (!this.offers.has(key)) return;
    if (made) {
      this.packs.set(nameOf(key, index), made);
      if (!connection) this.shrink();
    }
    if (!connection) return;
    this.perform(connection, made ? connection.session.packed(key, index, made.info) : connection.session.unpackable(key, index));
  }

  /** Without a connection nobody counts what is held. */
  private shrink(): void {
    let held = 0;
    for (const [name, { info, data }] of this.packs) {
      held += data instanceof Blob ? 0 : info.bytes;
      if (held > LEFT_BYTES) this.packs.delete(name);
    }
  }

  private transmit(connection: Connection, act: Extract<Act, { do: 'transmit' }>): void {
    const name = nameOf(act.key, act.index);
    const held = this.packs.get(name);
    if (!held) {
      queueMicrotask(() => this.ended(name, 'broken'));
      return;
    }
    const header = encodeHeader({ study: act.study, index: act.index, offset: act.offset, packBytes: act.pack.bytes, pack: act.pack.sha256 });
    const { data } = held;
    const pull = data instanceof Blob
      ? async (offset: number) => new Uint8Array(await data.slice(offset, offset + BLOB_STEP).arrayBuffer())
      : (offset: number) => data.subarray(offset, offset + BLOB_STEP / 4);
    this.places.set(name, act.offset);
    connection.mux.open(name, header, act.offset, pull, act.urgency);
  }

  private sent(name: string, bytes: number): void {
    const [key, index] = partsOf(name);
    const [place, all] = [(this.places.get(name) ?? 0) + bytes, this.packs.get(name)?.info.bytes ?? 0];
    this.places.set(name, place);
    if (all > 0) this.host.moved(key, index, Math.min(1, place / all));
  }

  private ended(name: string, how: 'sent' | 'broken'): void {
    const connection = this.now;
    if (!connection) return;
    const [key, index] = partsOf(name);
    if (how === 'broken') this.host.moved(key, index, null);
    this.places.delete(name);
    this.perform(connection, how === 'sent' ? connection.session.streamed(key, index) : connection.session.broken(key, index));
  }

  private goaway(connection: Connection, code: number, retryMs: number, open: boolean): void {
    connection.leavingSince = Date.now();
    connection.retryMs = code === CLOSE.crowded ? LONGEST_GAP_MS : retryMs;
    if (code === CLOSE.revoked) this.stop('signedOut');
    else if (code === CLOSE.closed) this.stop('closed');
    else if (code === CLOSE.version) this.stop('incompatible');
    else if (code === CLOSE.violation) this.violated();
    if (!open || this.stopped) {
      connection.socket.close(4000 + CLOSE.done);
      this.lost(connection, null);
    }
  }

  private violated(): void {
    this.violations += 1;
    if (this.violations >= MOST_VIOLATIONS) this.stop('incompatible');
  }

  private stop(state: LineState): void {
    this.stopped = state;
    this.host.state(state);
  }

  private lost(connection: Connection, code: number | null): void {
    if (this.now !== connection) return;
    this.now = null;
    clearTimeout(this.due);
    connection.mux.stop();
    this.places.clear();
    const { socket } = connection;
    socket.onopen = socket.onmessage = socket.onclose = null;
    if (socket.readyState === WebSocket.OPEN || socket.readyState === WebSocket.CONNECTING) socket.close();
    this.shrink();
    if (code === CLOSE.revoked) this.stop('signedOut');
    if (code === CLOSE.closed) this.stop('closed');
    if (code === CLOSE.violation) this.violated();
    if (this.stopped) return;
    if (this.offers.size === 0 && !this.wanted) {
      this.host.state('idle');
      return;
    }
    this.host.state('broken');
    if (!connection.opened) void this.ask();
    this.rest(code === CLOSE.crowded ? LONGEST_GAP_MS : connection.retryMs);
  }

  /** The browser does not say why a WebSocket was refused: whether somebody is signed in is asked for. */
  private async ask(): Promise<void> {
    const answer = await fetch('/api/v1/me', { credentials: 'same-origin' }).catch(() => null);
    if (answer?.status === 401) this.stop('signedOut');
    else if (answer?.ok && this.failures > 5) this.host.state('notAllowed');
  }

  private rest(leastMs: number): void {
    const gap = Math.min(LONGEST_GAP_MS, FIRST_GAP_MS * 2 ** Math.min(this.failures, 10));
    this.failures += 1;
    const jittered = gap * (0.75 + Math.random() / 2);
    clearTimeout(this.again);
    this.again = setTimeout(() => this.connect(), Math.max(leastMs, jittered));
  }

  /** Once a second: silence, idleness, a leaving that takes too long. */
  private look(): void {
    const connection = this.now;
    if (!connection) return;
    const now = Date.now();
    const { session, socket, mux } = connection;
    if (!session.isWelcome && now - connection.began > GREETING_MS) {
      this.lost(connection, null);
      return;
    }
    const moved = socket.bufferedAmount !== connection.buffered;
    connection.buffered = socket.bufferedAmount;
    if (moved) connection.heard = now;
    const patience = mux.running === 0 && socket.bufferedAmount === 0 ? PATIENCE_MS : SILENCE_MS;
    if (session.awaits && now - connection.heard > patience) {
      this.lost(connection, null);
      return;
    }
    const left = connection.leavingSince !== null && (session.isIdle || now - connection.leavingSince > LEAVING_MS);
    if (session.size > 0 || this.offers.size > 0) connection.idleSince = now;
    if (left || (session.isWelcome && now - connection.idleSince > IDLE_MS)) {
      socket.close(4000 + CLOSE.done);
      this.lost(connection, null);
    }
  }
}

function nameOf(key: string, index: number): string {
  return `${key}/${index}`;
}

function partsOf(name: string): [string, number] {
  const cut = name.lastIndexOf('/');
  return [name.slice(0, cut), Number(name.slice(cut + 1))];
}
