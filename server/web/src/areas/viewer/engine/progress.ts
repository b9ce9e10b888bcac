// How much of every stack is there, told a few times a second however many images come.
import type { Progress } from './schedule';
import { Signal } from './signal';

const EVERY = 100;

export class ProgressBoard {
  readonly all = new Signal<ReadonlyMap<string, Progress>>(new Map());
  private changed = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private of: (stack: string) => Progress) {}

  /** Something came or failed in a stack. */
  tell(stack: string): void {
    this.changed.add(stack);
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      const next = new Map(this.all.get());
      for (const id of this.changed) next.set(id, this.of(id));
      this.changed.clear();
      this.all.set(next);
    }, EVERY);
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}
