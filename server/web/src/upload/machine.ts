// The gateway's end of one connection, without I/O: what is offered, packed and sent next (PROTOCOL 4).
//
//  Fresh ── start() ─► Greeted ── WELCOME ─► Open ── GOAWAY ─► leaving        before WELCOME ── GOAWAY ─► Closed
//
//  a study          OFFER         NEED         COMMITTED
//           Queued ───────► Asked ─────► Open ──────────► gone
//              ▲              │            │
//              └─── Later ◄───┴────────────┴─ REFUSED (whole) ─► gone, if for good
//                                          └─ withdraw(), nothing left to send ─► gone
//
// The machine lives as long as its connection: after a break a new one is made, every study that is not committed is offered to it
// again, and NEED tells where to go on.
import {
  AHEAD_BYTES, AHEAD_PACKS, ENTRIES, passes, REFUSAL, STREAMS, STREAMS_KEPT, STUDIES, STUDIES_KEPT, UNCONFIRMED, type Urgency, VERSIONS,
} from './codes';
import { Violation } from './fields';
import { type Offer, type PackInfo, type Step, StudyProgress } from './progress';
import type { Message, Welcome } from './wire';

/** What the driver is to do, and what it is to say. */
export type Act = Step | { do: 'send'; message: Message } | { do: 'welcomed'; welcome: Welcome } | { do: 'goaway'; code: number; retryMs: number; open: boolean };

type Phase = 'fresh' | 'greeted' | 'open' | 'closed';
const SHORTEST_RETRY_MS = 250;

export class Session {
  private phase: Phase = 'fresh';
  private now = 0;
  private streams = 1;
  private largest = 0;
  private mostEntries = 0;
  private nextNumber = 1;
  private leaving = false;
  private readonly studies = new Map<string, StudyProgress>();
  private readonly numbers = new Map<number, string>();

  constructor(private readonly software: string) {}

  /** The connection stands: says HELLO. `now` is in milliseconds, here and everywhere. */
  start(now: number): Act[] {
    this.now = now;
    if (this.phase !== 'fresh') return [];
    this.phase = 'greeted';
    return [{ do: 'send', message: { type: 'hello', versions: VERSIONS, software: this.software, clock: now * 1000 } }];
  }

  /** A message of the relay. A violation ends the connection. */
  handle(message: Message, now: number): Act[] {
    this.now = Math.max(this.now, now);
    const acts: Act[] = [];
    if (this.phase === 'closed' || message.type === 'other') return acts;
    if (message.type === 'goaway') {
      const open = this.phase === 'open';
      this.leaving = true;
      if (!open) this.phase = 'closed';
      return [{ do: 'goaway', code: message.code, retryMs: message.retryMs, open }];
    }
    if (this.phase === 'greeted' && message.type === 'welcome') this.welcome(message, acts);
    else if (this.phase === 'open') this.handleOpen(message, acts);
    else throw new Violation('a message before the greeting was over');
    this.begin(acts);
    return acts;
  }

  /** A study is to go; a key that is already under way is left alone. */
  offer(offer: Offer): Act[] {
    if (!this.studies.has(offer.key)) this.studies.set(offer.key, new StudyProgress(offer));
    return this.begun();
  }

  /** A study is more or less urgent than it was. */
  reprioritize(key: string, urgency: Urgency): Act[] {
    const study = this.studies.get(key);
    if (!study || study.offer.urgency === urgency) return [];
    study.offer.urgency = urgency;
    const acts: Act[] = [];
    if (study.stage.at === 'asked' || study.stage.at === 'open') {
      acts.push({ do: 'send', message: { type: 'priority', study: study.stage.number, urgency } });
    }
    for (const index of study.running) acts.push({ do: 'urgency', key, index, urgency });
    this.begin(acts);
    return acts;
  }

  /** A study is given up on this connection; what is stored stays. */
  withdraw(key: string): Act[] {
    const acts: Act[] = [];
    this.giveUp(key, acts);
    this.begin(acts);
    return acts;
  }

  packed(key: string, index: number, pack: PackInfo): Act[] {
    const study = this.studies.get(key);
    if (!study?.has(index)) return [{ do: 'drop', key, index }];
    const acts: Act[] = study.packed(index, pack);
    this.begin(acts);
    return acts;
  }

  /** The pack of an entry cannot be made: the study goes without it and is never committed by this manifest. */
  unpackable(key: string, index: number): Act[] {
    return this.report(key, (study) => study.lose(index) ?? []);
  }

  /** The whole pack was handed to the carrier; its place is free, and STORED is awaited. */
  streamed(key: string, index: number): Act[] {
    return this.report(key, (study) => study.streamed(index));
  }

  /** The stream ended early, by whomever. */
  broken(key: string, index: number): Act[] {
    return this.report(key, (study) => study.broken(index, this.now));
  }

  /** Time went on: what was put off until now begins. */
  tick(now: number): Act[] {
    this.now = Math.max(this.now, now);
    for (const study of this.studies.values()) study.release(this.now);
    return this.begun();
  }

  /** When `tick` has something to do. */
  nextTick(): number | null {
    if (this.leaving) return null;
    let least: number | null = null;
    for (const study of this.studies.values()) {
      const due = study.due();
      if (due !== null && (least === null || due < least)) least = due;
    }
    return least;
  }

  get isWelcome(): boolean {
    return this.phase === 'open';
  }

  get isLeaving(): boolean {
    return this.leaving;
  }

  /** Whether one of the sides leaves, no stream runs and none waits for STORED. */
  get isIdle(): boolean {
    return this.leaving && this.unconfirmed().every((count) => count === 0);
  }

  /** Whether an answer of the relay is awaited. */
  get awaits(): boolean {
    return this.phase === 'greeted' || this.numbers.size > 0;
  }

  get size(): number {
    return this.studies.size;
  }

  private welcome(welcome: Welcome, acts: Act[]): void {
    if (!VERSIONS.includes(welcome.version)) throw new Violation('a version that was not offered');
    this.streams = Math.min(Math.max(welcome.streams, 1), STREAMS);
    this.largest = welcome.instanceBytes;
    this.mostEntries = Math.min(welcome.entries, ENTRIES);
    this.phase = 'open';
    acts.push({ do: 'welcomed', welcome });
  }

  private handleOpen(message: Message, acts: Act[]): void {
    switch (message.type) {
      case 'need':
      case 'stored':
      case 'refused':
      case 'committed': {
        const key = this.numbers.get(message.study);
        if (key !== undefined) this.handleStudy(key, message, acts);
        // Over here, while the relay could not know it yet.
        else if (message.study < 1 || message.study >= this.nextNumber) throw new Violation('a study that was never offered');
        return;
      }
      case 'challenge':
      case 'welcome':
        throw new Violation('a greeting after the greeting');
      default:
        throw new Violation('what only the gateway may send');
    }
  }

  private handleStudy(key: string, message: Message, acts: Act[]): void {
    const study = this.studies.get(key);
    if (!study) return;
    const stage = study.stage;
    if (message.type === 'need' && stage.at === 'asked') {
      acts.push(...study.open(stage.number, message.states, message.partial, this.largest));
    } else if (message.type === 'stored' && stage.at === 'open') {
      for (const [index, outcome] of message.entries) {
        expect(study, index);
        const steps = study.stored(index);
        if (steps) acts.push(...steps, { do: 'stored', key, index, outcome, known: false });
      }
    } else if (message.type === 'refused' && message.index === null) {
      this.refusedWhole(key, message.code, message.retryMs, message.detail, acts);
    } else if (message.type === 'refused' && stage.at === 'open' && message.index !== null) {
      this.refusedEntry(study, message.index, message.code, message.retryMs, message.detail, acts);
    } else if (message.type === 'committed' && stage.at === 'open' && study.isThere) {
      acts.push(...study.dropPacks());
      this.forget(key);
      acts.push({ do: 'committed', key, receipt: message.receipt, signature: message.signature });
    } else {
      throw new Violation('an answer out of turn');
    }
    this.giveUpStuck(key, acts);
  }

  private refusedEntry(study: StudyProgress, index: number, code: number, retryMs: number, detail: string, acts: Act[]): void {
    expect(study, index);
    if (passes(code)) {
      acts.push(...study.postpone(index, code, retryMs, this.now), { do: 'postponed', key: study.offer.key, code });
      return;
    }
    const steps = study.lose(index);
    if (steps) acts.push(...steps, { do: 'refused', key: study.offer.key, index, code, detail });
  }

  private refusedWhole(key: string, code: number, retryMs: number, detail: string, acts: Act[]): void {
    const study = this.forget(key);
    if (!study) return;
    acts.push(...study.dropPacks());
    if (!passes(code)) {
      acts.push({ do: 'refused', key, index: null, code, detail });
      return;
    }
    const again = new StudyProgress(study.offer);
    again.stage = { at: 'later', until: this.now + Math.max(retryMs, SHORTEST_RETRY_MS) };
    this.studies.set(key, again);
    acts.push({ do: 'postponed', key, code });
  }

  /** What the driver says about an entry. */
  private report(key: string, change: (study: StudyProgress) => Step[]): Act[] {
    const study = this.studies.get(key);
    if (!study) return [];
    const acts: Act[] = change(study);
    this.giveUpStuck(key, acts);
    this.begin(acts);
    return acts;
  }

  /** A study of which nothing is left to send, but something is missing for good, would keep its place for ever. */
  private giveUpStuck(key: string, acts: Act[]): void {
    if (!this.studies.get(key)?.isStuck) return;
    this.giveUp(key, acts);
    acts.push({ do: 'withdrawn', key });
  }

  private giveUp(key: string, acts: Act[]): void {
    const study = this.forget(key);
    if (!study) return;
    if (study.stage.at === 'asked' || study.stage.at === 'open') {
      acts.push({ do: 'send', message: { type: 'withdraw', study: study.stage.number } });
    }
    acts.push(...study.dropPacks());
  }

  private forget(key: string): StudyProgress | null {
    const study = this.studies.get(key);
    if (!study) return null;
    this.studies.delete(key);
    if (study.stage.at === 'asked' || study.stage.at === 'open') this.numbers.delete(study.stage.number);
    return study;
  }

  private begun(): Act[] {
    const acts: Act[] = [];
    this.begin(acts);
    return acts;
  }

  /** Begins whatever may begin, the most urgent first. */
  private begin(acts: Act[]): void {
    if (this.phase !== 'open' || this.leaving) return;
    this.offerMore(acts);
    this.prepareMore(acts);
    this.transmitMore(acts);
  }

  private offerMore(acts: Act[]): void {
    for (;;) {
      const study = first([...this.studies.values()].filter((one) => one.stage.at === 'queued'));
      if (!study || this.numbers.size >= share(STUDIES, STUDIES_KEPT, study.offer.urgency)) return;
      const { key, raw, sizes, urgency, offered } = study.offer;
      if (sizes.length > this.mostEntries) {
        this.studies.delete(key);
        acts.push({ do: 'refused', key, index: null, code: REFUSAL.tooLarge, detail: '' });
        continue;
      }
      const number = this.nextNumber;
      this.nextNumber += 1;
      study.stage = { at: 'asked', number };
      this.numbers.set(number, key);
      acts.push({ do: 'send', message: { type: 'offer', study: number, manifest: raw, signature: new Uint8Array(0) } });
      if (offered !== urgency) acts.push({ do: 'send', message: { type: 'priority', study: number, urgency } });
    }
  }

  private prepareMore(acts: Act[]): void {
    for (const study of this.ranked((one) => one.nextWanted() !== null)) {
      for (let next = study.nextWanted(); next; next = study.nextWanted()) {
        if (!this.makeRoom(study.offer.urgency, next.bytes, acts)) return;
        acts.push(study.prepare(next.index));
      }
    }
  }

  private transmitMore(acts: Act[]): void {
    let [running, sent] = this.unconfirmed();
    for (const study of this.ranked((one) => one.hasReady)) {
      const streams = share(this.streams, STREAMS_KEPT, study.offer.urgency);
      const unconfirmed = share(this.streams * UNCONFIRMED, STREAMS_KEPT, study.offer.urgency);
      while (study.hasReady) {
        if (running >= streams || running + sent >= unconfirmed) return;
        const step = study.transmit();
        if (!step) break;
        acts.push(step);
        running += 1;
      }
    }
  }

  private unconfirmed(): [number, number] {
    let [running, sent] = [0, 0];
    for (const study of this.studies.values()) {
      running += study.running.size;
      sent += study.sent;
    }
    return [running, sent];
  }

  /** Whether a pack of so many bytes may be made now; less urgent packs that wait for a stream are given up for it. */
  private makeRoom(urgency: Urgency, bytes: number, acts: Act[]): boolean {
    const most = share(AHEAD_BYTES, AHEAD_BYTES / 4, urgency);
    const mostPacks = share(AHEAD_PACKS, AHEAD_PACKS / 4, urgency);
    let [packs, ahead, asUrgent, sparePacks, spareBytes] = [0, 0, 0, 0, 0];
    for (const study of this.studies.values()) {
      const [count, held] = study.ahead();
      packs += count;
      ahead += held;
      if (study.offer.urgency <= urgency) {
        asUrgent += count;
      } else {
        const [spareCount, spareHeld] = study.spare();
        sparePacks += spareCount;
        spareBytes += spareHeld;
      }
    }
    const fits = packs - sparePacks < mostPacks && ahead - spareBytes + bytes <= most;
    if (!fits && asUrgent > 0) return false;
    while (packs >= mostPacks || ahead + bytes > most) {
      const less = [...this.studies.values()].filter((one) => one.offer.urgency > urgency && one.hasReady);
      const freed = less.sort(byRank).at(-1)?.shed();
      if (!freed) break;
      acts.push(freed.step);
      packs -= 1;
      ahead -= freed.bytes;
    }
    return true;
  }

  private ranked(waits: (study: StudyProgress) => boolean): StudyProgress[] {
    return [...this.studies.values()].filter((study) => study.stage.at === 'open' && waits(study)).sort(byRank);
  }
}

function expect(study: StudyProgress, index: number): void {
  if (!study.has(index)) throw new Violation('an entry that the manifest does not have');
}

function byRank(a: StudyProgress, b: StudyProgress): number {
  return a.offer.urgency - b.offer.urgency || a.offer.since - b.offer.since || (a.offer.key < b.offer.key ? -1 : 1);
}

function first(studies: StudyProgress[]): StudyProgress | null {
  return studies.sort(byRank)[0] ?? null;
}

/** How much of `all` may be in use for something so urgent: all for STAT, without half of what is kept for urgent, without it for routine. */
function share(all: number, kept: number, urgency: Urgency): number {
  const without = urgency === 0 ? 0 : urgency === 1 ? Math.floor(kept / 2) : kept;
  return Math.max(1, all - without);
}
