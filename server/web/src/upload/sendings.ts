// The studies under way: hashed, offered, sent, proved; kept so that a closed tab or a crash costs nothing that was done.
import type { Outcome, Urgency } from './codes';
import type { Instance, Study } from './group';
import { decodeManifest, encodeManifest, type Entry } from './manifest';
import type { Kept } from './shelf';
import type { Card, Fault, Sending, State } from './views';

/** How many paths of a fault are named. */
const NAMED = 20;
/** Over how long the speed is measured, at least by two arrivals. */
const SPEED_MS = 20_000;
/** So many bytes of what was handed to the system may still be in this computer: they are not counted as sent before they arrived. */
const UNSURE_BYTES = 4 << 20;

/** A study under way. */
export class Upload {
  state: State = 'hashing';
  hashed = 0;
  there = 0;
  bytesThere = 0;
  committedAt: number | null = null;
  kept = false;
  paused = false;
  waitsForSpace = false;
  raw: Uint8Array<ArrayBuffer> | null = null;
  receipt: Kept['receipt'] = null;
  entries: Entry[] = [];
  instances: (Instance | null)[] = [];
  /** Lets go of the lock that keeps other tabs out. */
  release: (() => void) | null = null;
  /** Grows when what was begun before no longer counts. */
  turn = 0;
  readonly lost = new Set<number>();
  private readonly faults = new Map<Fault, { count: number; paths: string[] }>();
  private readonly aside = new Map<Outcome, number>();
  private readonly flying = new Map<number, number>();
  /** Packed bytes of each entry, and of all that have arrived; when how many were surely sent. */
  private readonly packs = new Map<number, number>();
  private readonly marks: { at: number; bytes: number }[] = [];
  private arrived = 0;
  private packed = 0;
  private original = 0;

  constructor(
    readonly id: string,
    readonly person: string,
    readonly clinic: string,
    readonly card: Card,
    public urgency: Urgency,
    readonly since: number,
    public roots: FileSystemHandle[],
  ) {}

  /** From what was kept: where its files are is to be found. */
  static recalled(kept: Kept): Upload {
    const upload = new Upload(kept.id, kept.person, kept.clinic, kept.card, kept.urgency, kept.since, kept.roots);
    upload.kept = true;
    upload.paused = kept.paused;
    upload.raw = kept.raw;
    upload.receipt = kept.receipt;
    if (kept.raw) upload.take(decodeManifest(kept.raw).entries);
    if (kept.receipt) {
      upload.state = 'committed';
      upload.committedAt = kept.receipt.at;
      upload.there = upload.entries.length;
    } else {
      upload.state = kept.roots.length > 0 ? 'needsPermission' : 'needsFiles';
    }
    return upload;
  }

  toKeep(): Kept {
    const { id, person, clinic, card, urgency, since, paused, raw, roots, receipt } = this;
    return { id, person, clinic, card, urgency, since, paused, raw, roots: receipt ? [] : roots, receipt };
  }

  /** Takes over the images of a study: those of the manifest where there is one, else all. */
  adopt(study: Study): void {
    if (!this.raw) {
      this.instances = study.ordered();
      return;
    }
    this.instances = this.entries.map((entry) => {
      const instance = study.instances.get(entry.sop);
      return instance && instance.facts.bytes === entry.bytes ? instance : null;
    });
  }

  /** The manifest is made: of everything that could be read. */
  announce(entries: Entry[], instances: Instance[], gateway: string, made: number, id: string): void {
    this.instances = instances;
    this.take(entries);
    const { clinic, card, urgency } = this;
    this.raw = encodeManifest({ id, clinic, gateway, study: card.uid, urgency, made, entries });
  }

  private take(entries: Entry[]): void {
    this.entries = entries;
    this.hashed = entries.length;
  }

  /** The relay said what it has; what was counted before counts no more. */
  known(have: number, bytes: number): void {
    this.there = have;
    this.bytesThere = bytes;
    this.flying.clear();
    this.aside.clear();
  }

  stored(index: number, outcome: Outcome, known: boolean): void {
    this.waitsForSpace = false;
    if (!known) {
      this.there += 1;
      this.bytesThere += this.entries[index]?.bytes ?? 0;
      this.arrived += this.packs.get(index) ?? 0;
    }
    this.packs.delete(index);
    this.flying.delete(index);
    if (outcome !== 1) this.aside.set(outcome, (this.aside.get(outcome) ?? 0) + 1);
  }

  made(index: number, bytes: number): void {
    this.packs.set(index, bytes);
    this.packed += bytes;
    this.original += this.entries[index]?.bytes ?? 0;
  }

  moved(index: number, share: number | null): void {
    if (share === null) this.flying.delete(index);
    else this.flying.set(index, share);
  }

  stopped(): void {
    this.flying.clear();
    this.marks.length = 0;
  }

  /** What is on its way: packed bytes, and the original bytes of that part of them which has surely left. */
  private onTheWay(): { packed: number; original: number } {
    let [packed, original] = [0, 0];
    for (const [index, share] of this.flying) {
      packed += share * (this.packs.get(index) ?? 0);
      original += share * (this.entries[index]?.bytes ?? 0);
    }
    const sure = Math.max(0, packed - UNSURE_BYTES);
    return { packed: sure, original: sure > 0 ? original * (sure / packed) : 0 };
  }

  /** Bytes a second; null while that is not known. */
  private speed(now: number, sure: number): number | null {
    const last = this.marks[this.marks.length - 1];
    if (!last || sure < last.bytes) this.marks.splice(0, this.marks.length, { at: now, bytes: sure });
    else if (sure > last.bytes) this.marks.push({ at: now, bytes: sure });
    while (this.marks.length > 2 && now - (this.marks[1]?.at ?? now) > SPEED_MS) this.marks.shift();
    const first = this.marks[0];
    const span = first ? now - first.at : 0;
    if (!first || this.marks.length < 2 || this.state !== 'sending' || span < 1_500) return null;
    return ((sure - first.bytes) / span) * 1_000;
  }

  fault(why: Fault, path: string): void {
    const line = this.faults.get(why) ?? { count: 0, paths: [] };
    line.count += 1;
    if (line.paths.length < NAMED) line.paths.push(path);
    this.faults.set(why, line);
  }

  clearFaults(): void {
    this.faults.clear();
    this.lost.clear();
  }

  get hasFaults(): boolean {
    return this.faults.size > 0;
  }

  view(now: number): Sending {
    const bytes = this.entries.length > 0 ? this.entries.reduce((sum, entry) => sum + entry.bytes, 0) : this.card.bytes;
    const { packed, original } = this.onTheWay();
    const bytesThere = this.state === 'committed' ? bytes : Math.min(bytes, this.bytesThere + original);
    const speed = this.speed(now, this.arrived + packed);
    const shrunk = this.original > 0 ? Math.min(1.1, this.packed / this.original) : 1;
    const secondsLeft = speed && speed > 0 ? Math.ceil(((bytes - bytesThere) * shrunk) / speed) : null;
    const { id, card, clinic, urgency, state, hashed, kept, committedAt, waitsForSpace } = this;
    const there = state === 'committed' ? this.entries.length : this.there;
    return {
      id, card, clinic, urgency, state, hashed, there, bytesThere, bytes, speed, secondsLeft, kept, committedAt, waitsForSpace,
      entries: this.entries.length > 0 ? this.entries.length : card.instances,
      faults: [...this.faults].map(([why, line]) => ({ why, ...line })),
      aside: [...this.aside].map(([outcome, count]) => ({ outcome, count })),
      byItself: this.roots.length > 0,
      roots: state === 'needsPermission' ? this.roots : [],
    };
  }
}
