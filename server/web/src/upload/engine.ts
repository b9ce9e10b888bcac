// The upload as a whole, in its worker: what was taken, what waits for a person's word, what is under way.
import { ENTRIES, REFUSAL, type Urgency } from './codes';
import { cardOf, Desk } from './desk';
import { hashAll } from './hashing';
import { findAll, holdStudy, isHeld, mayRead } from './finding';
import { type Held, type Host, Line } from './line';
import { decodeManifest, proves } from './manifest';
import { Pool } from './pool';
import { Upload } from './sendings';
import { forget, keep, look, recall } from './shelf';
import { type Ask, type LineState, type Snapshot, type Told, worst } from './views';
import type { Welcome } from './wire';

const SHOW_MS = 250;
const NO_LIMITS = { entries: ENTRIES, instanceBytes: Number.MAX_SAFE_INTEGER };

export class Engine {
  private person = '';
  private readonly desk: Desk;
  private readonly uploads = new Map<string, Upload>();
  private readonly lines = new Map<string, Line>();
  private readonly states = new Map<string, LineState>();
  private welcome: Welcome | null = null;
  private showing: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly pool: Pool,
    private readonly tell: (told: Told, moved?: Transferable[]) => void,
  ) {
    this.desk = new Desk(pool, {
      uploads: () => this.uploads.values(),
      retry: (upload) => void this.retry(upload).then(() => this.show()),
      limits: () => this.welcome ?? NO_LIMITS,
      show: () => this.show(),
      tell,
    });
  }

  handle(ask: Ask): void {
    const done = this.answer(ask);
    if (done) void done.catch(() => undefined).then(() => this.show());
    this.show();
  }

  private answer(ask: Ask): Promise<void> | void {
    switch (ask.ask) {
      case 'begin':
        return this.begin(ask.person, ask.clinics);
      case 'take':
        return this.desk.take(ask.drop, ask.given, ask.last);
      case 'stopTaking':
        this.desk.stop();
        return;
      case 'send':
        return this.send(ask.key, ask.clinic, ask.urgency);
      case 'discard':
        this.desk.remove(ask.key);
        return;
      case 'clearSkipped':
        this.desk.clearSkipped();
        return;
      case 'urgency':
        return this.reprioritize(ask.id, ask.urgency);
      default: {
        const upload = this.uploads.get(ask.id);
        return upload ? this.command(upload, ask.ask) : undefined;
      }
    }
  }

  private command(upload: Upload, what: 'pause' | 'goOn' | 'cancel' | 'retry' | 'without' | 'dismiss' | 'granted'): Promise<void> {
    switch (what) {
      case 'pause':
        return this.pause(upload);
      case 'goOn':
        return this.goOn(upload);
      case 'cancel':
      case 'dismiss':
        return this.remove(upload);
      case 'retry':
        return this.retry(upload);
      case 'without':
        return this.without(upload);
      case 'granted':
        return this.find([upload]);
    }
  }

  private async begin(person: string, clinics: string[]): Promise<void> {
    if (this.person === person) return;
    this.person = person;
    for (const clinic of clinics.slice(0, 1)) this.lineOf(clinic).greet();
    const granted: Upload[] = [];
    for (const kept of await recall(person)) {
      if (this.uploads.has(kept.id)) continue;
      const upload = Upload.recalled(kept);
      this.uploads.set(upload.id, upload);
      if (upload.state === 'committed') continue;
      if (await isHeld(nameOf(upload))) void this.await(upload);
      else if (await mayRead(upload.roots)) granted.push(upload);
    }
    await this.find(granted);
  }

  private async send(key: string, clinic: string, urgency: Urgency): Promise<void> {
    const study = this.desk.study(key);
    if (!study) return;
    const roots = this.desk.rootsOf(study);
    const upload = new Upload(crypto.randomUUID(), this.person, clinic, cardOf(study), urgency, Date.now(), roots);
    upload.adopt(study);
    this.uploads.set(upload.id, upload);
    this.desk.remove(key);
    await this.save(upload);
    await this.start(upload);
  }

  /** Another tab sends it: when that one is done or closed, it is looked at again. */
  private async await(upload: Upload): Promise<void> {
    upload.state = 'elsewhere';
    const release = await holdStudy(nameOf(upload), () => undefined);
    release();
    if (upload.state !== 'elsewhere') return;
    const kept = await look(upload.id);
    if (!kept) this.uploads.delete(upload.id);
    else if (await this.stillOpen(upload)) await this.restart(upload);
    this.show();
  }

  private async save(upload: Upload): Promise<void> {
    if (this.uploads.has(upload.id)) upload.kept = await keep(upload.toKeep());
  }

  /** From wherever it is to being offered; other tabs of the same person are kept out. */
  private async start(upload: Upload): Promise<void> {
    upload.turn += 1;
    const turn = upload.turn;
    upload.state = upload.raw ? 'waiting' : 'hashing';
    if (!upload.release) {
      const free = await this.lock(upload, turn);
      if (!free || upload.turn !== turn) return;
    }
    if (!upload.raw && !(await this.announce(upload, turn))) return;
    if (upload.turn !== turn || !upload.raw) return;
    upload.state = 'waiting';
    upload.stopped();
    const sizes = upload.entries.map((entry) => entry.bytes);
    const { id: key, raw, urgency, since } = upload;
    this.lineOf(upload.clinic).offer({ key, raw, sizes, urgency, offered: decodeManifest(raw).urgency, since });
  }

  private async lock(upload: Upload, turn: number): Promise<boolean> {
    const before = upload.state;
    const release = await holdStudy(nameOf(upload), () => {
      if (upload.turn === turn) upload.state = 'elsewhere';
      this.show();
    });
    if (upload.turn !== turn) {
      release();
      return false;
    }
    upload.state = before;
    upload.release = release;
    return this.stillOpen(upload);
  }

  /** Another tab may have finished the study while this one waited. */
  private async stillOpen(upload: Upload): Promise<boolean> {
    const kept = upload.kept ? await look(upload.id) : undefined;
    if (!kept?.receipt) return true;
    upload.receipt = kept.receipt;
    upload.committedAt = kept.receipt.at;
    upload.state = 'committed';
    this.unlock(upload);
    this.show();
    return false;
  }

  private unlock(upload: Upload): void {
    upload.release?.();
    upload.release = null;
  }

  /** Hashes every image and makes the manifest; false when nothing is left of the study, or it is no longer wanted. */
  private async announce(upload: Upload, turn: number): Promise<boolean> {
    upload.hashed = 0;
    const { instances, entries } = await hashAll(this.pool, upload, () => upload.turn === turn, () => this.show());
    if (upload.turn !== turn) return false;
    if (instances.length === 0) {
      upload.state = 'failed';
      this.unlock(upload);
      return false;
    }
    upload.announce(entries, instances, `person:${this.person}`, Date.now() * 1_000, upload.id);
    await this.save(upload);
    return upload.turn === turn;
  }

  private async pause(upload: Upload): Promise<void> {
    if (upload.state === 'committed') return;
    upload.turn += 1;
    upload.paused = true;
    upload.state = 'paused';
    upload.stopped();
    this.lines.get(upload.clinic)?.withdraw(upload.id);
    this.unlock(upload);
    await this.save(upload);
  }

  private async goOn(upload: Upload): Promise<void> {
    upload.paused = false;
    await this.save(upload);
    await this.restart(upload);
  }

  private async retry(upload: Upload): Promise<void> {
    upload.paused = false;
    upload.clearFaults();
    this.lines.get(upload.clinic)?.withdraw(upload.id);
    this.lines.get(upload.clinic)?.hurry();
    await this.restart(upload);
  }

  private async restart(upload: Upload): Promise<void> {
    if (upload.state === 'committed') return;
    if (upload.instances.length > 0) await this.start(upload);
    else if (upload.roots.length === 0) upload.state = 'needsFiles';
    else if (await mayRead(upload.roots)) await this.find([upload]);
    else upload.state = 'needsPermission';
  }

  /** Leaves out what does not go, so that the rest is a study that can be finished. */
  private async without(upload: Upload): Promise<void> {
    const stays = (index: number) => !upload.lost.has(index) && upload.instances[index] !== null;
    const entries = upload.entries.filter((_, index) => stays(index));
    const instances = upload.instances.filter((one, index) => one !== null && stays(index)).filter((one) => one !== null);
    if (entries.length === 0) return;
    this.lines.get(upload.clinic)?.withdraw(upload.id);
    upload.clearFaults();
    upload.announce(entries, instances, `person:${this.person}`, Date.now() * 1_000, crypto.randomUUID());
    await this.save(upload);
    await this.start(upload);
  }

  private async remove(upload: Upload): Promise<void> {
    upload.turn += 1;
    this.lines.get(upload.clinic)?.withdraw(upload.id);
    this.uploads.delete(upload.id);
    this.unlock(upload);
    await forget(upload.id);
  }

  private async reprioritize(id: string, urgency: Urgency): Promise<void> {
    const upload = this.uploads.get(id);
    if (!upload) return;
    upload.urgency = urgency;
    this.lines.get(upload.clinic)?.reprioritize(id, urgency);
    await this.save(upload);
  }

  /** Finds the files of studies that were under way when the page was closed. */
  private async find(uploads: Upload[]): Promise<void> {
    if (uploads.length === 0) return;
    for (const upload of uploads) upload.state = 'finding';
    const table = await findAll(uploads.flatMap((upload) => upload.roots));
    for (const upload of uploads) {
      const study = table.studies.get(upload.card.key);
      if (!study) {
        upload.state = 'needsFiles';
        continue;
      }
      upload.adopt(study);
      if (upload.paused) upload.state = 'paused';
      else void this.start(upload).then(() => this.show());
    }
  }

  private lineOf(clinic: string): Line {
    const known = this.lines.get(clinic);
    if (known) return known;
    const scheme = self.location.protocol === 'https:' ? 'wss' : 'ws';
    const line = new Line(`${scheme}://${self.location.host}/link?clinic=${encodeURIComponent(clinic)}`, {
      pack: (key, index) => this.pack(key, index),
      told: (step) => this.stepped(step),
      welcomed: (welcome) => {
        this.welcome = welcome;
        this.desk.judge();
        this.show();
      },
      moved: (key, index, share) => {
        this.uploads.get(key)?.moved(index, share);
        this.show();
      },
      state: (state) => {
        this.states.set(clinic, state);
        if (state === 'broken') for (const upload of this.uploads.values()) if (upload.clinic === clinic) upload.stopped();
        this.show();
      },
    });
    this.lines.set(clinic, line);
    return line;
  }

  private async pack(key: string, index: number): Promise<Held | null> {
    const upload = this.uploads.get(key);
    const [instance, entry] = [upload?.instances[index], upload?.entries[index]];
    if (!upload || !entry) return null;
    if (!instance) {
      upload.lost.add(index);
      upload.fault('missing', entry.sop);
      return null;
    }
    const { content, facts } = instance;
    const result = await this.pool.run({ do: 'pack', content, facts, sha256: entry.sha256 }, () => upload.urgency);
    if (result.did === 'pack') {
      upload.made(index, result.bytes);
      return { info: { bytes: result.bytes, sha256: result.sha256 }, data: result.pack };
    }
    upload.lost.add(index);
    upload.fault(result.did === 'failed' ? result.why : 'unreadable', instance.path);
    return null;
  }

  private stepped(step: Parameters<Host['told']>[0]): void {
    const upload = this.uploads.get(step.key);
    if (!upload) return;
    switch (step.do) {
      case 'known':
        upload.known(step.have, step.bytes);
        upload.state = step.have === upload.entries.length ? 'checking' : 'sending';
        break;
      case 'stored':
        upload.stored(step.index, step.outcome, step.known);
        if (upload.there === upload.entries.length) upload.state = 'checking';
        break;
      case 'postponed':
        upload.waitsForSpace = step.code === REFUSAL.outOfSpace;
        break;
      case 'refused':
        upload.fault(`code${step.code}`, step.index === null ? '' : (upload.instances[step.index]?.path ?? ''));
        if (step.index !== null) upload.lost.add(step.index);
        else this.failed(upload);
        break;
      case 'withdrawn':
        this.failed(upload);
        break;
      case 'committed':
        void this.committed(upload, step.receipt, step.signature).then(() => this.show());
    }
    this.show();
  }

  private failed(upload: Upload): void {
    upload.state = 'failed';
    upload.stopped();
    this.unlock(upload);
  }

  private async committed(upload: Upload, receipt: Uint8Array, signature: Uint8Array): Promise<void> {
    const [bytes, signed] = [receipt.slice(), signature.slice()];
    const key = this.welcome?.receiptKey.slice();
    if (!upload.raw || !key || !(await proves(upload.raw, bytes, signed, key))) {
      upload.fault('receipt', '');
      this.failed(upload);
      return;
    }
    upload.receipt = { bytes, signature: signed, at: Date.now() };
    upload.committedAt = upload.receipt.at;
    upload.state = 'committed';
    upload.instances = [];
    await this.save(upload);
    this.unlock(upload);
  }

  private show(): void {
    this.showing ??= setTimeout(() => {
      this.showing = undefined;
      this.tell({ told: 'snapshot', snapshot: this.snapshot() });
    }, SHOW_MS);
  }

  private snapshot(): Snapshot {
    const now = Date.now();
    return {
      ...this.desk.view(),
      sending: [...this.uploads.values()].map((upload) => upload.view(now)).sort((a, b) => Number(a.state === 'committed') - Number(b.state === 'committed') || a.urgency - b.urgency),
      line: worst([...this.states.values()]),
      limits: this.welcome ? { instanceBytes: this.welcome.instanceBytes, entries: this.welcome.entries } : null,
    };
  }
}

/** What a study goes by among the tabs of a person. */
function nameOf(upload: Upload): string {
  return `${upload.person}:${upload.card.uid}`;
}
