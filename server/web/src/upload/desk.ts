// What lies on the table: files that were taken and have become studies, and wait for a person's word.
import { fingerprint, type Instance, type Study, Table } from './group';
import type { Pool } from './pool';
import type { Upload } from './sendings';
import { type Found, take } from './take';
import type { Ask, Card, Draft, Snapshot, Told } from './views';

const THUMBNAIL = 160;

interface Taking {
  files: number;
  images: number;
  /** Drops of which more is to come. */
  open: Set<number>;
}

type Given = Extract<Ask, { ask: 'take' }>['given'];

/** What the desk needs of the upload around it. */
export interface DeskHost {
  uploads(): Iterable<Upload>;
  retry(upload: Upload): void;
  limits(): { entries: number; instanceBytes: number };
  show(): void;
  tell(told: Told, moved?: Transferable[]): void;
}

export class Desk {
  private readonly table = new Table();
  private readonly drops = new Map<number, FileSystemHandle[]>();
  private readonly drawn = new Set<string>();
  private taking: Taking | null = null;
  private row: Promise<void> = Promise.resolve();
  private halted = false;

  constructor(
    private readonly pool: Pool,
    private readonly host: DeskHost,
  ) {}

  study(key: string): Study | null {
    return this.table.studies.get(key) ?? null;
  }

  /** Where a study's files are, as far as the browser can find them again. */
  rootsOf(study: Study): FileSystemHandle[] {
    return [...study.drops].flatMap((drop) => this.drops.get(drop) ?? []);
  }

  remove(key: string): void {
    this.table.studies.delete(key);
    this.judge();
  }

  clearSkipped(): void {
    this.table.skipped.clear();
  }

  /** Reads no further; what was found stays. */
  stop(): void {
    this.halted = true;
  }

  view(): Pick<Snapshot, 'taking' | 'drafts' | 'skipped'> {
    const studies = [...this.table.studies.values()];
    const together = (study: Study) => studies
      .filter((other) => fingerprint(other.patient) !== fingerprint(study.patient) && (other.uid === study.uid || [...other.drops].some((drop) => study.drops.has(drop))))
      .map((other) => other.patient.name || other.patient.id);
    const draft = (study: Study): Draft => ({
      ...cardOf(study), issues: [...study.issues], conflicts: study.twins.length, others: [...new Set(together(study))].slice(0, 8),
    });
    return {
      taking: this.taking ? { files: this.taking.files, images: this.taking.images } : null,
      drafts: this.taking ? [] : studies.map(draft),
      skipped: [...this.table.skipped].map(([why, line]) => ({ why, ...line })),
    };
  }

  /** Takes in what was given; of a drop more may come. */
  async take(drop: number, given: Given, last: boolean): Promise<void> {
    const roots = this.drops.get(drop) ?? [];
    for (const one of given) if ('handle' in one) roots.push(one.handle);
    this.drops.set(drop, roots);
    this.taking ??= { files: 0, images: 0, open: new Set() };
    const taking = this.taking;
    taking.open.add(drop);
    this.halted = false;
    // One after another, so that as many files are open at once whatever is given.
    this.row = this.row.then(() => take(given, (found) => this.found(drop, taking, found), () => this.halted)).catch(() => undefined);
    await this.row;
    if (last) taking.open.delete(drop);
    if (taking.open.size > 0 || this.taking !== taking) return;
    this.taking = null;
    await this.sort();
  }

  private found(drop: number, taking: Taking, found: Found): void {
    taking.files += 1;
    if ('skip' in found) {
      this.table.skip(found.path, found.skip);
    } else {
      taking.images += 1;
      this.table.add(found, drop);
    }
    this.host.show();
  }

  /** Everything of a drop is here: copies are told from conflicts, and what is under way already gets its files. */
  private async sort(): Promise<void> {
    for (const study of [...this.table.studies.values()]) {
      await this.twins(study);
      for (const upload of this.host.uploads()) if (upload.card.key === study.key) this.claim(upload, study);
    }
    this.judge();
    for (const study of this.table.studies.values()) void this.draw(study);
  }

  /** Files that carry a number which is taken: the same content is a copy, other content a conflict. */
  private async twins(study: Study): Promise<void> {
    const twins = study.twins.splice(0);
    for (const twin of twins) {
      const first = study.instances.get(twin.facts.sop);
      const same = first && first.facts.bytes === twin.facts.bytes && (await this.sameBytes(first, twin));
      if (same) this.table.skip(twin.path, 'copy');
      else {
        study.twins.push(twin);
        study.issues.add('otherBytes');
      }
    }
  }

  private async sameBytes(a: Instance, b: Instance): Promise<boolean> {
    const hash = ({ content, facts }: Instance) => this.pool.run({ do: 'hash', content, start: facts.start }, () => 3);
    const [x, y] = await Promise.all([hash(a), hash(b)]);
    return x.did === 'hash' && y.did === 'hash' && x.sha256.every((byte, at) => byte === y.sha256[at]);
  }

  /** A study that is under way was given again: what is missing of it is found, what is being sent is left out. */
  private claim(upload: Upload, study: Study): void {
    if (upload.state === 'committed') return;
    const roots = this.rootsOf(study);
    if (upload.instances.length === 0 || upload.instances.includes(null) || upload.state === 'failed') {
      upload.adopt(study);
      if (roots.length > 0) upload.roots = roots;
      if (!upload.paused) this.host.retry(upload);
    }
    const mine = new Set(upload.entries.length > 0 ? upload.entries.map((entry) => entry.sop) : upload.instances.map((one) => one?.facts.sop));
    for (const sop of [...study.instances.keys()]) {
      if (!mine.has(sop)) continue;
      if (upload.state === 'sending' || upload.state === 'waiting') this.table.skip(study.instances.get(sop)?.path ?? '', 'copy');
      study.instances.delete(sop);
    }
    if (study.instances.size === 0) this.table.studies.delete(study.key);
    else study.recount();
  }

  /** Judges all studies anew. */
  judge(): void {
    this.table.judge(this.host.limits());
  }

  private async draw(study: Study): Promise<void> {
    const middle = study.middle();
    if (!middle || this.drawn.has(study.key)) return;
    this.drawn.add(study.key);
    const { content, facts } = middle;
    const result = await this.pool.run({ do: 'thumbnail', content, facts, size: THUMBNAIL }, () => 0);
    if (result.did !== 'thumbnail') return;
    const { width, height, pixels } = result;
    this.host.tell({ told: 'thumbnail', key: study.key, width, height, pixels }, [pixels.buffer]);
  }
}

/** A study in short. */
export function cardOf(study: Study): Card {
  const { key, uid, patient, first, bytes, images } = study;
  const { bodyPart, studyDate, studyTime, description, accession } = first;
  return {
    key, uid, patient, bodyPart, studyDate, studyTime, description, accession, bytes, images,
    modalities: [...study.modalities].sort(),
    series: study.series.size,
    instances: study.instances.size,
  };
}
