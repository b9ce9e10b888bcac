// The text of a report while it is written: saved to the relay a few seconds after typing, kept on this machine until it is there.
import { asProblem, type Problem } from '@/api/problem';

import { saveDraft, type Proof, type Writing } from '../api';
import type { Section } from './phrases';
import { forget, keep } from './recovery';

export const EMPTY: Writing = { findings: '', impression: '', recommendation: '' };

/** Whether two texts are the same. */
export function same(a: Writing | null, b: Writing | null): boolean {
  if (a === null || b === null) return a === b;
  return a.findings === b.findings && a.impression === b.impression && a.recommendation === b.recommendation;
}

export type Saving = 'saved' | 'typing' | 'saving' | 'offline' | 'refused' | 'lost';

export interface Shown {
  text: Writing;
  saving: Saving;
  /** When the relay last had it, microseconds. */
  savedAt: number | null;
  problem: Problem | null;
}

type Send = (proof: Proof, text: Writing, keepalive: boolean) => Promise<{ saved_at: number }>;

const PAUSE = 2_500;
const LONGEST = 10_000;

/** One text of one case. Everything that changes it goes through here, so that nothing is sent twice at once and nothing is forgotten. */
export class Keeper {
  private readonly listeners = new Set<() => void>();
  private shown: Shown;
  private base: Writing | null;
  private proof: Proof | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private since = 0;
  private again = 1_000;
  private sending: Promise<void> | null = null;
  private closed = false;

  constructor(
    private readonly name: string,
    text: Writing,
    saved: { text: Writing; at: number } | null,
    private readonly send: Send = (proof, words, keepalive) => saveDraft(name, proof, words, keepalive),
  ) {
    this.base = saved?.text ?? null;
    const clean = same(text, this.base ?? EMPTY);
    this.shown = { text, saving: clean ? 'saved' : 'typing', savedAt: saved?.at ?? null, problem: null };
  }

  readonly follow = (call: () => void): (() => void) => {
    this.listeners.add(call);
    return () => this.listeners.delete(call);
  };

  readonly now = (): Shown => this.shown;

  private show(change: Partial<Shown>): void {
    this.shown = { ...this.shown, ...change };
    this.listeners.forEach((call) => call());
  }

  /** Whether something is not at the relay. */
  get open(): boolean {
    return !same(this.shown.text, this.base ?? EMPTY);
  }

  /** The claim under which it is saved; without one it is only kept here. */
  hold(proof: Proof | null): void {
    this.proof = proof;
    if (proof && this.shown.saving === 'lost') this.show({ saving: 'typing', problem: null });
    if (proof && this.open) this.plan();
  }

  /** The claim has ended: nothing more is sent, everything stays here. */
  lose(problem: Problem): void {
    clearTimeout(this.timer);
    this.proof = null;
    if (this.open) keep(this.name, this.shown.text, this.base);
    this.show({ saving: 'lost', problem });
  }

  /** Takes what was typed. */
  write(section: Section, text: string): void {
    this.replace({ ...this.shown.text, [section]: text });
  }

  /** Takes a whole text, such as one that was restored. */
  replace(text: Writing): void {
    if (this.closed || same(text, this.shown.text)) return;
    const lost = this.shown.saving === 'lost';
    this.show({ text, saving: lost ? 'lost' : 'typing' });
    keep(this.name, text, this.base);
    this.plan();
  }

  private plan(): void {
    if (!this.proof || this.closed) return;
    if (this.since === 0) this.since = Date.now();
    clearTimeout(this.timer);
    const left = Math.max(0, LONGEST - (Date.now() - this.since));
    this.timer = setTimeout(() => void this.save(), Math.min(PAUSE, left));
  }

  /** Saves now what is not saved; comes back when it is, or could not be. */
  async save(keepalive = false): Promise<void> {
    clearTimeout(this.timer);
    if (this.sending) await this.sending;
    if (!this.proof || !this.open || this.closed) return;
    this.sending = this.once(this.proof, this.shown.text, keepalive);
    await this.sending;
    this.sending = null;
  }

  private async once(proof: Proof, text: Writing, keepalive: boolean): Promise<void> {
    this.since = 0;
    this.show({ saving: 'saving' });
    try {
      const saved = await this.send(proof, text, keepalive && JSON.stringify(text).length < 20_000);
      this.base = text;
      this.again = 1_000;
      const clean = same(this.shown.text, text);
      if (clean) forget(this.name);
      else this.plan();
      this.show({ saving: clean ? 'saved' : 'typing', savedAt: saved.saved_at, problem: null });
    } catch (error) {
      this.failed(asProblem(error));
    }
  }

  private failed(problem: Problem): void {
    if (this.closed) return;
    keep(this.name, this.shown.text, this.base);
    if (problem.code === 'CLAIM_LOST' || problem.code === 'LEASE_LOST' || problem.code === 'STATE_CONFLICT') return this.lose(problem);
    if (!problem.passing && problem.status < 500 && problem.status !== 429) return this.show({ saving: 'refused', problem });
    this.show({ saving: 'offline', problem });
    this.again = Math.min(15_000, this.again * 2);
    this.timer = setTimeout(() => void this.save(), this.again);
  }

  /** The relay has the text in another form (signed): nothing is left to keep. */
  done(): void {
    this.closed = true;
    clearTimeout(this.timer);
    forget(this.name);
  }

  /** The page is left: what is open is sent once more, and stays kept if that fails. */
  leave(): void {
    if (this.closed) return;
    if (this.open) keep(this.name, this.shown.text, this.base);
    void this.save(true);
  }
}
