// The workers that hash and pack: a few of them, the most urgent work first.
import type { Job, Result } from './packing.worker';

interface Waiting {
  job: Job;
  rank: () => number;
  done: (result: Result) => void;
  age: number;
}

interface Hand {
  worker: Worker;
  busy: { id: number; done: (result: Result) => void } | null;
}

export class Pool {
  private readonly hands: Hand[] = [];
  private waiting: Waiting[] = [];
  private ids = 0;
  private readonly most: number;

  constructor(
    private readonly make: () => Worker,
    cores: number,
  ) {
    // One core is left for the page and the line.
    this.most = Math.min(4, Math.max(1, cores - 1));
  }

  /** Has a job done; `rank` (smaller is sooner) is asked when somebody is free. */
  run(job: Job, rank: () => number): Promise<Result> {
    return new Promise((done) => {
      this.ids += 1;
      this.waiting.push({ job, rank, done, age: this.ids });
      this.go();
    });
  }

  /** Forgets what waits. */
  clear(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const one of waiting) one.done({ did: 'failed', why: 'unreadable' });
  }

  private go(): void {
    while (this.waiting.length > 0) {
      const hand = this.free();
      if (!hand) return;
      let best = 0;
      this.waiting.forEach((one, at) => {
        const than = this.waiting[best]!;
        if (one.rank() < than.rank() || (one.rank() === than.rank() && one.age < than.age)) best = at;
      });
      const [next] = this.waiting.splice(best, 1);
      if (!next) return;
      hand.busy = { id: next.age, done: next.done };
      hand.worker.postMessage({ id: next.age, job: next.job });
    }
  }

  private free(): Hand | null {
    const idle = this.hands.find((hand) => hand.busy === null);
    if (idle) return idle;
    if (this.hands.length >= this.most) return null;
    const hand: Hand = { worker: this.make(), busy: null };
    hand.worker.onmessage = (message: MessageEvent<{ id: number; result: Result }>) => this.over(hand, message.data.result);
    // A worker that dies takes its job with it, and is replaced.
    hand.worker.onerror = () => {
      hand.worker.terminate();
      this.hands.splice(this.hands.indexOf(hand), 1);
      this.over(hand, { did: 'failed', why: 'unreadable' });
    };
    this.hands.push(hand);
    return hand;
  }

  private over(hand: Hand, result: Result): void {
    const busy = hand.busy;
    hand.busy = null;
    busy?.done(result);
    this.go();
  }
}
