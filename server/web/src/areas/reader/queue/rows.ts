// The lines of the queue as they are shown: fetched by windows, changed in place by live events, never put into another order
// while somebody looks at them. What is new is counted, and comes when it is asked for.
import { asProblem, type Problem } from '@/api/problem';

import { queuePage, readCase, type CaseDetail, type Filter, type QueueLine, type QueuePage, type Tab } from '../api';

export const WINDOW = 200;
const AT_ONCE = 2;
const ASKED_ONE_BY_ONE = 12;

export interface Shown {
  total: number;
  counts: QueuePage['counts'] | null;
  /** How many lines are not shown yet. */
  fresh: number;
  /** Whether the first window is here. */
  ready: boolean;
  problem: Problem | null;
  /** Grows whenever a line has changed. */
  turn: number;
}

/** Whether a case still belongs to a part of the queue. */
export function belongs(tab: Tab, line: QueueLine, me: string): boolean {
  const { stage, hold } = line.case;
  const unsigned = stage !== 'final' && stage !== 'delivered' && stage !== 'closed';
  switch (tab) {
    case 'ready':
      return stage === 'ready';
    case 'mine':
      return hold?.holder === me || (unsigned && line.assigned === me);
    case 'review':
      return stage === 'preliminary' || stage === 'verifying';
    case 'returned':
      return stage === 'returned';
    case 'critical':
      return line.critical === 'notifying' || line.critical === 'acknowledged';
    default:
      return unsigned;
  }
}

/** A line with what one case says of itself now. */
export function patched(line: QueueLine, detail: CaseDetail): QueueLine {
  const { study } = detail;
  return {
    ...line,
    case: detail.case,
    holder_name: detail.holder_name ?? null,
    instances: study.instances,
    expected: study.expected ?? null,
    assigned: detail.assigned === undefined ? line.assigned : detail.assigned,
    assigned_name: detail.assigned_name === undefined ? line.assigned_name : detail.assigned_name,
    critical: detail.critical ?? line.critical,
    returned: detail.returned === undefined ? line.returned : detail.returned,
  };
}

export class Rows {
  private readonly listeners = new Set<() => void>();
  private readonly lines: (QueueLine | undefined)[] = [];
  private readonly places = new Map<string, number>();
  private readonly left = new Set<string>();
  private readonly windows = new Set<number>();
  private readonly running = new Map<number, AbortController>();
  private wanted: number[] = [];
  private over = false;
  private shown: Shown = { total: 0, counts: null, fresh: 0, ready: false, problem: null, turn: 0 };

  constructor(
    readonly filter: Filter,
    private readonly me: string,
  ) {}

  readonly follow = (call: () => void): (() => void) => {
    this.listeners.add(call);
    return () => this.listeners.delete(call);
  };

  readonly now = (): Shown => this.shown;

  private show(change: Partial<Shown>): void {
    this.shown = { ...this.shown, ...change, turn: this.shown.turn + 1 };
    this.listeners.forEach((call) => call());
  }

  /** The line at a place, when it is here. */
  at(place: number): QueueLine | undefined {
    return this.lines[place];
  }

  /** Whether a line that is shown belongs elsewhere by now. */
  hasLeft(id: string): boolean {
    return this.left.has(id);
  }

  /** Where a case stands in what is shown. */
  placeOf(id: string): number | undefined {
    return this.places.get(id);
  }

  /** The first line that nobody has and that the reader may take: what is likely to be read next. */
  likelyNext(may: (line: QueueLine) => boolean): QueueLine | undefined {
    return this.lines.find((line) => line !== undefined && may(line) && !line.case.hold && (line.case.stage === 'ready' || line.case.stage === 'preliminary'));
  }

  start(): void {
    this.over = false;
    this.need(0, 0);
  }

  stop(): void {
    this.over = true;
    this.running.forEach((own) => own.abort());
  }

  /** Fetches what is needed to show some places; what is out of sight by now is given up. */
  need(first: number, last: number): void {
    const from = Math.floor(Math.max(0, first) / WINDOW);
    const to = Math.floor(Math.max(0, last) / WINDOW);
    this.wanted = [];
    for (let window = from; window <= to; window += 1) {
      if (!this.windows.has(window)) this.wanted.push(window);
    }
    for (const [window, own] of this.running) {
      if (window !== 0 && (window < from - 1 || window > to + 1)) own.abort();
    }
    this.pump();
  }

  private pump(): void {
    if (this.over) return;
    for (const window of this.wanted) {
      if (this.running.size >= AT_ONCE) return;
      if (!this.running.has(window) && !this.windows.has(window)) void this.fetch(window);
    }
  }

  private async fetch(window: number): Promise<void> {
    const own = new AbortController();
    this.running.set(window, own);
    try {
      const page = await queuePage(this.filter, window * WINDOW, WINDOW, own.signal);
      if (this.over) return;
      this.windows.add(window);
      page.items.forEach((line, index) => this.put(window * WINDOW + index, line));
      const first = !this.shown.ready;
      this.show({ total: first ? page.total : Math.max(this.shown.total, window * WINDOW + page.items.length), counts: page.counts, ready: true, problem: null });
    } catch (error) {
      if (!this.over && !own.signal.aborted) this.show({ problem: asProblem(error) });
    } finally {
      this.running.delete(window);
      if (!own.signal.aborted) this.wanted = this.wanted.filter((other) => other !== window);
      this.pump();
    }
  }

  private put(place: number, line: QueueLine): void {
    this.lines[place] = line;
    if (!this.places.has(line.case.id)) this.places.set(line.case.id, place);
  }

  private update(line: QueueLine): void {
    const place = this.places.get(line.case.id);
    if (place === undefined) return;
    this.lines[place] = line;
    if (belongs(this.filter.tab, line, this.me)) this.left.delete(line.case.id);
    else this.left.add(line.case.id);
  }

  /** Takes in what has happened to some cases. Gives the lines that are new at the top of what the relay has now. */
  async changed(ids: ReadonlySet<string>): Promise<QueueLine[]> {
    if (!this.shown.ready || this.over) return [];
    const page = await queuePage(this.filter, 0, WINDOW);
    const seen = new Set(page.items.map((line) => line.case.id));
    page.items.forEach((line) => this.update(line));
    const alone = [...ids].filter((id) => this.places.has(id) && !seen.has(id)).slice(0, ASKED_ONE_BY_ONE);
    const details = await Promise.all(alone.map((id) => readCase(id).catch(() => null)));
    if (this.over) return [];
    details.forEach((detail, index) => {
      const id = alone[index] as string;
      const line = this.lines[this.places.get(id) ?? -1];
      if (detail && line) this.update(patched(line, detail));
      else this.left.add(id);
    });
    const found = page.items.filter((line) => !this.places.has(line.case.id));
    // A short list is here as a whole: what is not among its lines is new. Of a long one only the number is known.
    const fresh = this.shown.total <= WINDOW ? found.length : Math.max(0, page.total - (this.shown.total - this.left.size));
    this.show({ counts: page.counts, fresh });
    return found.filter((line) => ids.has(line.case.id));
  }

  /** Takes in one case that was just asked. */
  take(detail: CaseDetail): void {
    const line = this.lines[this.places.get(detail.case.id) ?? -1];
    if (!line) return;
    this.update(patched(line, detail));
    this.show({});
  }

  /** Counts images that arrive for a study that is shown. */
  arrived(study: string, instances: number, expected: number | null): void {
    const place = this.lines.findIndex((line) => line?.case.study === study);
    const line = this.lines[place];
    if (!line) return;
    this.lines[place] = { ...line, instances, expected: expected ?? line.expected, complete: expected === null ? line.complete : instances >= expected };
    this.show({});
  }

  /** Tries again what failed. */
  again(): void {
    this.show({ problem: null });
    this.need(0, 0);
  }
}
