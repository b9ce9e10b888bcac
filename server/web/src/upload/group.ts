// Files become studies: one for each Study Instance UID and patient, with everything that a person has to know before it is sent.
import type { Content } from './content';
import type { Facts, Patient, Skip } from './parse';

/** One image of a study, and where its bytes are. */
export interface Instance {
  path: string;
  content: Content;
  facts: Facts;
}

/** What is wrong, or may be. */
export type Issue =
  /** Another patient stands under the same study number: neither is sent before one of them is put away. */
  | 'patientsInStudy'
  /** What was dropped together belongs to several patients. */
  | 'patientsTogether'
  | 'noName'
  | 'noId'
  /** The images of the study differ in sex or birth date. */
  | 'identityVaries'
  /** The character set was not what was declared: the name may be wrong. */
  | 'guessedText'
  /** Files with the same number and other content: only the first is sent. */
  | 'otherBytes'
  | 'noImages'
  | 'tooMany'
  | 'tooLarge';

/** A study as it lies on this computer. */
export class Study {
  readonly instances = new Map<string, Instance>();
  readonly series = new Map<string, number>();
  readonly modalities = new Set<string>();
  readonly twins: Instance[] = [];
  readonly drops = new Set<number>();
  readonly issues = new Set<Issue>();
  patient: Patient;
  bytes = 0;
  images = 0;
  largest = 0;

  constructor(
    readonly key: string,
    readonly uid: string,
    readonly first: Facts,
  ) {
    this.patient = { ...first.patient };
  }

  add(instance: Instance, drop: number): void {
    const { facts } = instance;
    this.drops.add(drop);
    const known = this.instances.get(facts.sop);
    if (known) {
      if (known.path !== instance.path || known.content.blob !== instance.content.blob) this.twins.push(instance);
      return;
    }
    this.instances.set(facts.sop, instance);
    this.series.set(facts.series, (this.series.get(facts.series) ?? 0) + 1);
    if (facts.modality) this.modalities.add(facts.modality);
    this.bytes += facts.bytes;
    this.largest = Math.max(this.largest, facts.bytes);
    if (facts.pixels) this.images += facts.frames;
    if (facts.guessed) this.issues.add('guessedText');
    for (const field of ['sex', 'birthDate'] as const) {
      if (this.patient[field] === '') this.patient[field] = facts.patient[field];
      else if (facts.patient[field] !== '' && facts.patient[field] !== this.patient[field]) this.issues.add('identityVaries');
    }
  }

  /** Images were taken away: counts what is left. */
  recount(): void {
    this.series.clear();
    this.bytes = 0;
    this.images = 0;
    for (const { facts } of this.instances.values()) {
      this.series.set(facts.series, (this.series.get(facts.series) ?? 0) + 1);
      this.bytes += facts.bytes;
      if (facts.pixels) this.images += facts.frames;
    }
  }

  /** The images in the order of sending: series by series, image by image. */
  ordered(): Instance[] {
    return [...this.instances.values()].sort((a, b) => {
      const [x, y] = [a.facts, b.facts];
      return x.seriesNumber - y.seriesNumber || compare(x.series, y.series) || x.instance - y.instance || compare(x.sop, y.sop);
    });
  }

  /** The image that shows best what the study is: from the middle of its largest series. */
  middle(): Instance | null {
    const largest = [...this.series].sort((a, b) => b[1] - a[1])[0]?.[0];
    const images = this.ordered().filter((one) => one.facts.pixels !== null);
    const inSeries = images.filter((one) => one.facts.series === largest);
    const from = inSeries.length > 0 ? inSeries : images;
    return from[Math.floor(from.length / 2)] ?? null;
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Who a patient is, without regard to how the name is spaced. */
export function fingerprint(patient: Patient): string {
  return `${patient.id.trim()}\n${foldName(patient.name)}`;
}

/** A name without regard to case, spaces and the marks between its parts. */
export function foldName(name: string): string {
  return name.normalize('NFKC').toLowerCase().replaceAll(/[\s^=,.·•-]+/g, ' ').trim();
}

/** Everything that was taken and not yet sent. */
export class Table {
  readonly studies = new Map<string, Study>();
  readonly skipped = new Map<Skip | 'copy', { count: number; paths: string[] }>();

  /** Adds what was found in a drop; says which study it belongs to. */
  add(instance: Instance, drop: number): Study {
    const key = `${instance.facts.study}|${fingerprint(instance.facts.patient)}`;
    let study = this.studies.get(key);
    if (!study) {
      study = new Study(key, instance.facts.study, instance.facts);
      this.studies.set(key, study);
    }
    study.add(instance, drop);
    return study;
  }

  skip(path: string, why: Skip | 'copy'): void {
    const line = this.skipped.get(why) ?? { count: 0, paths: [] };
    line.count += 1;
    if (line.paths.length < 50) line.paths.push(path);
    this.skipped.set(why, line);
  }

  /** Judges all studies anew. */
  judge(limits: { entries: number; instanceBytes: number }): void {
    for (const study of this.studies.values()) {
      const others = [...this.studies.values()].filter((other) => other !== study);
      const stranger = (other: Study) => fingerprint(other.patient) !== fingerprint(study.patient);
      mark(study, 'patientsInStudy', others.some((other) => other.uid === study.uid));
      mark(study, 'patientsTogether', others.some((other) => stranger(other) && [...other.drops].some((drop) => study.drops.has(drop))));
      mark(study, 'noName', foldName(study.patient.name) === '');
      mark(study, 'noId', study.patient.id.trim() === '');
      mark(study, 'noImages', study.images === 0);
      mark(study, 'tooMany', study.instances.size > limits.entries);
      mark(study, 'tooLarge', study.largest > limits.instanceBytes);
    }
  }
}

function mark(study: Study, issue: Issue, is: boolean): void {
  if (is) study.issues.add(issue);
  else study.issues.delete(issue);
}

/** Why a study cannot be sent as it is. */
export const BLOCKING: readonly Issue[] = ['patientsInStudy', 'tooMany'];
/** What a person has to explain before a study is sent. */
export const TO_EXPLAIN: readonly Issue[] = ['noName', 'noId', 'identityVaries'];
