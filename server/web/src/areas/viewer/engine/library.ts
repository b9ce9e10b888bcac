// The studies that are shown: lists of series first, then their metadata in the order in which it is needed. Nothing waits for all of it.
import { asProblem, type Problem } from '@/api/problem';

import { countOf, metadataOf, seriesOf } from '../dicom/kept';
import { text, type Attributes } from '../dicom/json';
import { provisional, stacksOf, type Stack } from '../dicom/model';
import { inForeground } from '../dicom/traffic';
import { askOneOf } from '../dicom/web';
import type { StudyRef } from '../types';

import { Signal } from './signal';

/** After so long without the whole metadata, one image is asked for by itself. */
const PATIENCE = 180;

export interface LibraryState {
  stacks: Stack[];
  /** Studies whose list of series is not there yet. */
  waiting: string[];
  /** Why the last thing failed. */
  problem: Problem | null;
}

interface Series {
  study: string;
  uid: string;
  prior: boolean;
  set: Attributes;
  count: number;
  stacks: Stack[];
  state: 'listed' | 'asked' | 'known';
}

export class Library {
  readonly state = new Signal<LibraryState>({ stacks: [], waiting: [], problem: null });
  private series = new Map<string, Series>();
  private stopped = false;

  constructor(
    private studies: readonly StudyRef[],
    /** Called with the stacks of a series when more is known of them. */
    private onStacks: (stacks: Stack[], gone: string[]) => void,
  ) {}

  /** Lists the series of every study, the current ones first. */
  async open(): Promise<void> {
    const inOrder = [...this.studies].sort((a, b) => Number(a.prior) - Number(b.prior) || Number(a.later === true) - Number(b.later === true));
    this.state.patch({ waiting: inOrder.map((study) => study.uid) });
    for (const study of inOrder) await this.list(study, false);
  }

  /** Asks again what a study has, since images have arrived. */
  async refresh(uid: string): Promise<void> {
    const study = this.studies.find((one) => one.uid === uid);
    if (!study) return;
    await this.list(study, true);
    const changed = [...this.series.values()].filter((series) => series.study === uid && series.state === 'listed' && series.stacks.some((stack) => stack.known));
    await Promise.all(changed.map((series) => this.fetch(series)));
  }

  stop(): void {
    this.stopped = true;
  }

  /** Sees that everything is known of a series; resolves when it is. */
  async ensure(uid: string): Promise<void> {
    const series = this.series.get(uid);
    if (!series || series.state !== 'listed') return;
    await this.fetch(series);
  }

  /** Fetches what is left of the current studies, one series after another. */
  async rest(): Promise<void> {
    for (const series of [...this.series.values()]) {
      if (this.stopped) return;
      if (!series.prior && series.state === 'listed') await this.fetch(series);
    }
  }

  stacks(): Stack[] {
    return [...this.series.values()].flatMap((series) => series.stacks);
  }

  private tell(): void {
    this.state.patch({ stacks: this.stacks() });
  }

  private async list(study: StudyRef, again: boolean): Promise<void> {
    const end = study.prior ? () => undefined : inForeground();
    try {
      const sets = await seriesOf(study.uid, again);
      if (this.stopped) return;
      for (const set of sets) this.take(study, set);
      this.state.patch({ problem: null, waiting: this.state.get().waiting.filter((uid) => uid !== study.uid) });
      this.tell();
    } catch (error) {
      this.state.patch({ problem: asProblem(error), waiting: this.state.get().waiting.filter((uid) => uid !== study.uid) });
    } finally {
      end();
    }
  }

  private take(study: StudyRef, set: Attributes): void {
    const uid = text(set, '0020000E');
    if (!uid) return;
    const count = countOf(set);
    const there = this.series.get(uid);
    if (!there) {
      const stacks = [provisional(study.uid, study.prior, set)];
      this.series.set(uid, { study: study.uid, uid, prior: study.prior, set, count, stacks, state: 'listed' });
      return;
    }
    if (there.count === count) return;
    there.count = count;
    there.set = set;
    there.state = 'listed';
    there.stacks = there.stacks.map((stack) => (stack.known ? stack : { ...stack, expected: count }));
  }

  private async fetch(series: Series): Promise<void> {
    series.state = 'asked';
    const end = inForeground();
    const early = setTimeout(() => void this.one(series), PATIENCE);
    try {
      const sets = await metadataOf(series.study, series.uid, series.count);
      clearTimeout(early);
      if (this.stopped) return;
      series.state = 'known';
      this.become(series, stacksOf(series.study, series.prior, sets));
    } catch (error) {
      clearTimeout(early);
      series.state = 'listed';
      this.state.patch({ problem: asProblem(error) });
    } finally {
      end();
    }
  }

  /** One image of a series by itself, so that there is something to see at once. */
  private async one(series: Series): Promise<void> {
    if (series.state !== 'asked' || series.stacks.some((stack) => stack.known)) return;
    const set = await askOneOf(series.study, series.uid, series.count).catch(() => null);
    if (!set || this.stopped || series.state !== 'asked') return;
    const found = stacksOf(series.study, series.prior, [set]);
    const stack = found[0];
    if (!stack || stack.id !== series.uid) return;
    this.become(series, [{ ...stack, expected: Math.max(series.count, 1), known: false }]);
  }

  private become(series: Series, stacks: Stack[]): void {
    const gone = series.stacks.filter((old) => !stacks.some((stack) => stack.id === old.id)).map((old) => old.id);
    series.stacks = stacks;
    this.onStacks(stacks, gone);
    this.tell();
  }
}
