// One study on a connection and its entries: what is wanted, packed, under way, there or lost.
//
//            prepare            packed()           transmit           streamed()
//  Wanted ───────────► Preparing ──────► Ready ──────────────► Sending ────────► Sent
//    ▲  ▲                                  │ ▲                    │                │
//    │  └── room for a more urgent one ────┘ │     broken(), REFUSED (passes)      │ REFUSED (passes)
//    └── after its time, pack damaged ───────┴─ after its time ─ Held ◄───────────┴┘
//
//  any ── STORED ─► There          any but There ── REFUSED (for good), unpackable() ─► Lost
import { REFUSAL, type Outcome, type Urgency } from './codes';
import { Violation } from './fields';
import { extentFirst } from './order';
import type { Begun } from './wire';

/** A study that is to go to the relay. */
export interface Offer {
  key: string;
  /** The manifest as it is offered, and the original bytes of its entries. */
  raw: Uint8Array;
  sizes: number[];
  /** How urgent it is, now and in the manifest. */
  urgency: Urgency;
  offered: Urgency;
  /** Since when it waits. */
  since: number;
}

/** A pack that was made. */
export interface PackInfo {
  bytes: number;
  sha256: Uint8Array;
}

/** What the driver is to do. */
export type Step =
  | { do: 'prepare'; key: string; index: number }
  | { do: 'transmit'; key: string; study: number; index: number; offset: number; pack: PackInfo; urgency: Urgency }
  | { do: 'urgency'; key: string; index: number; urgency: Urgency }
  | { do: 'drop'; key: string; index: number }
  | { do: 'known'; key: string; have: number; bytes: number }
  | { do: 'stored'; key: string; index: number; outcome: Outcome; known: boolean }
  | { do: 'postponed'; key: string; code: number }
  | { do: 'refused'; key: string; index: number | null; code: number; detail: string }
  | { do: 'withdrawn'; key: string }
  | { do: 'committed'; key: string; receipt: Uint8Array; signature: Uint8Array };

export type Stage = { at: 'queued' } | { at: 'later'; until: number } | { at: 'asked' | 'open'; number: number };
type State = 'wanted' | 'preparing' | 'ready' | 'sending' | 'sent' | 'held' | 'there' | 'lost';

interface Again {
  at: number;
  remake: boolean;
}

const SHORTEST_PAUSE_MS = 250;
const LONGEST_DOUBLING = 7;

export class StudyProgress {
  stage: Stage = { at: 'queued' };
  private readonly states: State[];
  private readonly order: number[];
  private readonly places: number[];
  /** No place before this one is wanted. */
  private lowest = 0;
  private wanted: number;
  private readonly ready = new Set<number>();
  private readonly held = new Map<number, Again>();
  private readonly again = new Map<number, Again>();
  readonly running = new Set<number>();
  private readonly packs = new Map<number, { info: PackInfo | null; bytes: number }>();
  private readonly partial = new Map<number, Begun>();
  private readonly failures = new Map<number, number>();
  sent = 0;
  there = 0;
  lost = 0;

  constructor(readonly offer: Offer) {
    this.order = extentFirst(offer.sizes.length);
    this.places = new Array<number>(this.order.length);
    this.order.forEach((index, place) => (this.places[index] = place));
    this.states = new Array<State>(this.order.length).fill('wanted');
    this.wanted = this.order.length;
  }

  has(index: number): boolean {
    return index < this.states.length;
  }

  get isThere(): boolean {
    return this.there === this.states.length;
  }

  /** Nothing is left to do, but not everything is there. */
  get isStuck(): boolean {
    return this.stage.at === 'open' && this.lost > 0 && this.there + this.lost === this.states.length && this.running.size === 0;
  }

  /** Packs that are made or being made, and their bytes. */
  ahead(): [number, number] {
    let bytes = 0;
    for (const pack of this.packs.values()) bytes += pack.bytes;
    return [this.packs.size, bytes];
  }

  /** Packs and bytes that `shed` can free. */
  spare(): [number, number] {
    let bytes = 0;
    for (const index of this.ready) bytes += this.packs.get(index)?.bytes ?? 0;
    return [this.ready.size, bytes];
  }

  /** When something is to be tried again. */
  due(): number | null {
    if (this.stage.at === 'later') return this.stage.until;
    let least: number | null = null;
    for (const { at } of this.held.values()) if (least === null || at < least) least = at;
    return least;
  }

  /** NEED: begins to send what is wanted, but for what is larger than `largest`. */
  open(number: number, states: (Outcome | null)[], partial: Begun[], largest: number): Step[] {
    if (states.length !== this.states.length) throw new Violation('NEED has more or fewer states than the manifest has entries');
    for (const begun of partial) {
      if (states[begun.index] !== null) throw new Violation('a partial pack of an entry that is not needed');
      if (this.partial.has(begun.index)) throw new Violation('two partial packs of one entry');
      this.partial.set(begun.index, begun);
    }
    this.stage = { at: 'open', number };
    const key = this.offer.key;
    const steps: Step[] = [];
    let bytes = 0;
    states.forEach((state, index) => {
      if (state !== null) {
        this.enter(index, 'there');
        bytes += this.size(index);
        if (state !== 1) steps.push({ do: 'stored', key, index, outcome: state, known: true });
      } else if (this.size(index) > largest) {
        this.enter(index, 'lost');
        steps.push({ do: 'refused', key, index, code: REFUSAL.tooLarge, detail: '' });
      }
    });
    return [{ do: 'known', key, have: this.there, bytes }, ...steps];
  }

  /** The next entry that wants a pack, and what it counts for until it has one. */
  nextWanted(): { index: number; bytes: number } | null {
    if (this.wanted === 0) return null;
    while (this.lowest < this.order.length && this.states[this.order[this.lowest] ?? 0] !== 'wanted') this.lowest += 1;
    const index = this.order[this.lowest];
    return index === undefined ? null : { index, bytes: this.size(index) };
  }

  prepare(index: number): Step {
    this.enter(index, 'preparing');
    this.packs.set(index, { info: null, bytes: this.size(index) });
    return { do: 'prepare', key: this.offer.key, index };
  }

  get hasReady(): boolean {
    return this.ready.size > 0;
  }

  /** Begins to send the next entry that is ready. */
  transmit(): Step | null {
    const index = this.first(this.ready);
    if (this.stage.at !== 'open' || index === null) return null;
    const pack = this.packs.get(index)?.info;
    if (!pack) return null;
    const begun = this.partial.get(index);
    const goesOn = begun && begun.offset <= pack.bytes && equal(begun.pack, pack.sha256);
    const offset = goesOn ? begun.offset : 0;
    // From 0 on the relay overwrites what it had.
    if (offset === 0) this.partial.delete(index);
    this.enter(index, 'sending');
    this.running.add(index);
    return { do: 'transmit', key: this.offer.key, study: this.stage.number, index, offset, pack, urgency: this.offer.urgency };
  }

  /** Gives up the ready pack that would go last; says how many bytes it had. */
  shed(): { step: Step; bytes: number } | null {
    let last: number | null = null;
    for (const index of this.ready) if (last === null || this.place(index) > this.place(last)) last = index;
    if (last === null) return null;
    const bytes = this.packs.get(last)?.bytes ?? 0;
    this.enter(last, 'wanted');
    const [step] = this.dropPack(last);
    return step ? { step, bytes } : null;
  }

  packed(index: number, info: PackInfo): Step[] {
    if (this.states[index] !== 'preparing') return this.packs.has(index) ? [] : [{ do: 'drop', key: this.offer.key, index }];
    this.packs.set(index, { info, bytes: info.bytes });
    this.enter(index, 'ready');
    return [];
  }

  /** The relay has the entry; null when that was known. */
  stored(index: number): Step[] | null {
    if (this.isSettled(index)) return null;
    this.enter(index, 'there');
    return this.running.has(index) ? [] : this.dropPack(index);
  }

  /** The entry will never be there; null when that was known. */
  lose(index: number): Step[] | null {
    if (this.isSettled(index)) return null;
    this.running.delete(index);
    this.enter(index, 'lost');
    return this.dropPack(index);
  }

  /** The relay did not take the entry, but may later. */
  postpone(index: number, code: number, retryMs: number, now: number): Step[] {
    const remake = code === REFUSAL.damaged;
    const state = this.states[index];
    if (state === 'sending') {
      this.again.set(index, { at: now + this.pause(index, remake, retryMs), remake });
      return [];
    }
    if (state !== 'ready' && state !== 'sent' && state !== 'held') return [];
    return this.hold(index, { at: now + this.pause(index, remake, retryMs), remake });
  }

  /** The whole pack was handed to the carrier. */
  streamed(index: number): Step[] {
    this.running.delete(index);
    if (this.states[index] === 'there') return this.dropPack(index);
    if (this.states[index] !== 'sending') return [];
    const again = this.again.get(index);
    if (again) return this.hold(index, again);
    this.enter(index, 'sent');
    return [];
  }

  /** The stream ended early. */
  broken(index: number, now: number): Step[] {
    this.running.delete(index);
    if (this.states[index] === 'there') return this.dropPack(index);
    if (this.states[index] !== 'sending') return [];
    return this.hold(index, this.again.get(index) ?? { at: now + this.pause(index, true, 0), remake: false });
  }

  /** What was held until now may go again. */
  release(now: number): void {
    if (this.stage.at === 'later' && this.stage.until <= now) this.stage = { at: 'queued' };
    for (const [index, { at }] of this.held) if (at <= now) this.enter(index, this.packs.has(index) ? 'ready' : 'wanted');
  }

  /** The study is over on this connection: every pack goes, and every stream that runs. */
  dropPacks(): Step[] {
    const steps = [...this.packs.keys()].map((index): Step => ({ do: 'drop', key: this.offer.key, index }));
    this.packs.clear();
    return steps;
  }

  private isSettled(index: number): boolean {
    return this.states[index] === 'there' || this.states[index] === 'lost';
  }

  private size(index: number): number {
    return this.offer.sizes[index] ?? 0;
  }

  private place(index: number): number {
    return this.places[index] ?? 0;
  }

  private first(indexes: Set<number>): number | null {
    let first: number | null = null;
    for (const index of indexes) if (first === null || this.place(index) < this.place(first)) first = index;
    return first;
  }

  private dropPack(index: number): Step[] {
    const pack = this.packs.get(index);
    this.packs.delete(index);
    // A pack that is still being made is dropped when it is reported.
    return pack?.info ? [{ do: 'drop', key: this.offer.key, index }] : [];
  }

  private hold(index: number, again: Again): Step[] {
    this.enter(index, 'held');
    this.held.set(index, again);
    if (!again.remake) return [];
    this.partial.delete(index);
    return this.dropPack(index);
  }

  /** How long to wait: what the relay says, and longer with every failure of the entry. */
  private pause(index: number, failed: boolean, retryMs: number): number {
    const failures = this.failures.get(index) ?? 0;
    if (failed) this.failures.set(index, failures + 1);
    return Math.max(retryMs, SHORTEST_PAUSE_MS * 2 ** Math.min(failures, LONGEST_DOUBLING));
  }

  /** The one place where an entry's state changes. */
  private enter(index: number, next: State): void {
    const before = this.states[index];
    if (before === 'wanted') this.wanted -= 1;
    if (before === 'ready') this.ready.delete(index);
    if (before === 'sent') this.sent -= 1;
    if (before === 'held') this.held.delete(index);
    if (before === 'sending') this.again.delete(index);
    if (next === 'wanted') {
      this.wanted += 1;
      this.lowest = Math.min(this.lowest, this.place(index));
    }
    if (next === 'ready') this.ready.add(index);
    if (next === 'sent') this.sent += 1;
    if (next === 'there') this.there += 1;
    if (next === 'lost') this.lost += 1;
    this.states[index] = next;
  }
}

/** Whether two byte strings are the same. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false;
  return true;
}
