// Moving pictures: every pane that runs goes on when its time has come and the next picture is there.
import type { Pane } from './pane';
import type { Scheduler } from './schedule';

export class Cine {
  private frame = 0;
  private due = new Map<number, number>();

  constructor(
    private panes: () => readonly Pane[],
    private scheduler: Scheduler,
  ) {}

  /** Starts or stops a pane; `rate` is pictures per second. */
  set(pane: Pane, rate: number): void {
    pane.view.patch({ cine: rate });
    if (rate > 0 && this.frame === 0) this.frame = requestAnimationFrame(this.tick);
  }

  stop(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  private readonly tick = (now: number): void => {
    let running = false;
    for (const pane of this.panes()) {
      const { cine, stack, index } = pane.view.get();
      if (!stack || cine <= 0 || stack.frames.length < 2) continue;
      running = true;
      if (now < (this.due.get(pane.key) ?? 0)) continue;
      const next = (index + 1) % stack.frames.length;
      // A picture that is not there yet is waited for, and the clip goes on from it.
      if (this.scheduler.stateOf(stack.id, next) === 'there') pane.goTo(next, 'cine');
      this.due.set(pane.key, now + 1_000 / cine);
    }
    this.frame = running ? requestAnimationFrame(this.tick) : 0;
  };
}
