// Which image is fetched next, how many at once, and which goes when memory is short: always by how near it is to what somebody looks at.
import { cache, imageLoader } from '@cornerstonejs/core';

import type { Frame, Stack } from '../dicom/model';
import { inForeground, isSlow } from '../dicom/traffic';

import { giveUp } from './loader';
import { introduce } from './provider';

export type FrameState = 'none' | 'loading' | 'there' | 'failed';

/** How much of a stack is there; `marks` says it per image for the scroll bar. */
export interface Progress {
  there: number;
  failed: number;
  total: number;
  /** Whether everything cannot be kept at once: then only what is near stays. */
  limited: boolean;
  states: readonly FrameState[];
}

interface Track {
  stack: Stack;
  states: FrameState[];
  tries: number[];
  there: number;
}

/** A pane's wish: the image shown, the direction of scrolling, and whether it is the pane in use. */
export interface Wish {
  stack: string;
  index: number;
  direction: 1 | -1;
  active: boolean;
}

/** Planes that are cut out are made on demand: only the next few are made ahead. */
const CUTS_AHEAD = 3;
const AGAIN = [500, 1_500, 4_000, 8_000, 15_000];

export class Scheduler {
  private tracks = new Map<string, Track>();
  private wishes: Wish[] = [];
  private running = new Map<string, { stack: string; index: number; urgent: boolean; end: () => void }>();
  private bytes = 0;
  private sizes = new Map<string, number>();
  private stopped = false;
  private idleOrder: string[] = [];

  constructor(
    private budget: number,
    private onThere: (stack: string, index: number) => void,
    private onProgress: (stack: string) => void,
  ) {}

  /** Makes a stack known, or replaces what was known of it. */
  add(stack: Stack): void {
    introduce(stack.frames);
    const before = this.tracks.get(stack.id);
    const states: FrameState[] = stack.frames.map((frame) => (this.sizes.has(frame.imageId) ? 'there' : this.running.has(frame.imageId) ? 'loading' : 'none'));
    for (const [imageId, run] of this.running) {
      if (run.stack === stack.id) run.index = stack.frames.findIndex((frame) => frame.imageId === imageId);
    }
    this.tracks.set(stack.id, { stack, states, tries: before?.tries ?? [], there: states.filter((state) => state === 'there').length });
    this.onProgress(stack.id);
    this.pump();
  }

  /** In which order stacks that nobody looks at are fetched. */
  setIdle(order: string[]): void {
    this.idleOrder = order;
    this.pump();
  }

  wish(wishes: Wish[]): void {
    this.wishes = wishes;
    this.dropFar();
    this.pump();
  }

  stateOf(stack: string, index: number): FrameState {
    return this.tracks.get(stack)?.states[index] ?? 'none';
  }

  progress(stack: string): Progress {
    const track = this.tracks.get(stack);
    if (!track) return { there: 0, failed: 0, total: 0, limited: false, states: [] };
    const failed = track.states.filter((state) => state === 'failed').length;
    const each = track.there > 0 ? this.bytesOf(track.stack) : 0;
    return { there: track.there, failed, total: track.states.length, limited: each * track.states.length > this.budget, states: [...track.states] };
  }

  /** The nearest image that is there. */
  nearest(stack: string, index: number): number | null {
    const states = this.tracks.get(stack)?.states ?? [];
    for (let far = 0; far < states.length; far += 1) {
      if (states[index - far] === 'there') return index - far;
      if (states[index + far] === 'there') return index + far;
    }
    return null;
  }

  /** Bytes of decoded images that are kept, and how many may be. */
  memory(): { bytes: number; budget: number; images: number } {
    return { bytes: this.bytes, budget: this.budget, images: this.sizes.size };
  }

  /** Drops images of a stack that are not as they should be any more; they are made anew when they are wanted. */
  drop(stack: string): void {
    const track = this.tracks.get(stack);
    if (!track) return;
    track.states.forEach((state, at) => {
      if (state !== 'there') return;
      this.evict((track.stack.frames[at] as Frame).imageId);
      track.states[at] = 'none';
    });
    track.there = 0;
    this.onProgress(stack);
  }

  /** Forgets a stack and its images. */
  remove(stack: string): void {
    this.drop(stack);
    this.tracks.delete(stack);
  }

  /** Tries again what failed. */
  retry(): void {
    for (const track of this.tracks.values()) {
      track.states.forEach((state, at) => {
        if (state !== 'failed') return;
        track.states[at] = 'none';
        track.tries[at] = 0;
      });
      this.onProgress(track.stack.id);
    }
    this.pump();
  }

  stop(): void {
    this.stopped = true;
    for (const [imageId, run] of this.running) {
      giveUp(imageId);
      run.end();
    }
    for (const imageId of [...this.sizes.keys()]) this.evict(imageId);
    this.tracks.clear();
  }

  private bytesOf(stack: Stack): number {
    const known = stack.frames.find((frame) => this.sizes.has(frame.imageId));
    const frame = stack.frames[0];
    return (known && this.sizes.get(known.imageId)) ?? (frame ? frame.rows * frame.columns * 2 : 0);
  }

  /** How far an image is from every wish; what is shown is 0, other stacks are far. */
  private distance(stack: string, index: number): number {
    let best = Number.POSITIVE_INFINITY;
    for (const wish of this.wishes) {
      if (wish.stack !== stack) continue;
      const by = (index - wish.index) * wish.direction;
      const far = by >= 0 ? by : -by * 1.6;
      best = Math.min(best, wish.active ? far : far * 2);
    }
    if (Number.isFinite(best)) return best;
    const place = this.idleOrder.indexOf(stack);
    return 100_000 * (place < 0 ? 1_000 : place + 1) + index;
  }

  private next(): { track: Track; index: number; urgent: boolean } | null {
    for (const wish of this.wishes) {
      const track = this.tracks.get(wish.stack);
      if (track?.states[wish.index] === 'none') return { track, index: wish.index, urgent: true };
    }
    let best: { track: Track; index: number; far: number } | null = null;
    for (const wish of this.wishes) {
      const track = this.tracks.get(wish.stack);
      if (!track || track.there === track.states.length) continue;
      track.states.forEach((state, index) => {
        if (state !== 'none') return;
        const far = this.distance(wish.stack, index);
        if (wish.stack.includes('#') && Math.abs(index - wish.index) > CUTS_AHEAD) return;
        if (!best || far < best.far) best = { track, index, far };
      });
    }
    if (best) return { ...(best as { track: Track; index: number }), urgent: false };
    for (const id of this.idleOrder) {
      const track = this.tracks.get(id);
      const index = track?.states.indexOf('none') ?? -1;
      if (track && index >= 0) return { track, index, urgent: false };
    }
    return null;
  }

  private pump(): void {
    if (this.stopped) return;
    const most = isSlow() ? 2 : 6;
    for (;;) {
      const next = this.next();
      if (!next) return;
      // What is looked at never waits for a place.
      if (!next.urgent && this.running.size >= most) return;
      if (next.urgent && this.running.size >= most + 4) return;
      if (!this.makeRoom(next.track, next.index, next.urgent)) return;
      this.fetch(next.track, next.index, next.urgent);
    }
  }

  /** On a slow line, what was far away gives way to what is looked at. */
  private dropFar(): void {
    if (!isSlow() || this.wishes.every((wish) => this.stateOf(wish.stack, wish.index) !== 'none')) return;
    for (const [imageId, run] of this.running) {
      if (!run.urgent && this.distance(run.stack, run.index) > 4) giveUp(imageId);
    }
  }

  private fetch(track: Track, index: number, urgent: boolean): void {
    const frame = track.stack.frames[index] as Frame;
    const stack = track.stack.id;
    const run = { stack, index, urgent, end: inForeground() };
    track.states[index] = 'loading';
    this.running.set(frame.imageId, run);
    imageLoader.loadAndCacheImage(frame.imageId, { priority: 0, requestType: 'prefetch' } as Parameters<typeof imageLoader.loadAndCacheImage>[1]).then(
      (image) => {
        this.finish(frame.imageId);
        if (this.stopped) return;
        this.sizes.set(frame.imageId, image.sizeInBytes);
        this.bytes += image.sizeInBytes;
        this.become(run, frame.imageId, 'there');
        this.onThere(run.stack, run.index);
        this.pump();
      },
      (error: unknown) => {
        this.finish(frame.imageId);
        if (this.stopped) return;
        this.failed(run, frame.imageId, error);
      },
    );
  }

  private finish(imageId: string): void {
    this.running.get(imageId)?.end();
    this.running.delete(imageId);
  }

  private become(run: { stack: string; index: number }, imageId: string, state: FrameState): void {
    const track = this.tracks.get(run.stack);
    // The stack may have been replaced by a longer one while this was under way.
    const index = track?.stack.frames[run.index]?.imageId === imageId ? run.index : (track?.stack.frames.findIndex((one) => one.imageId === imageId) ?? -1);
    if (!track || index < 0) return;
    run.index = index;
    const before = track.states[index];
    track.states[index] = state;
    if (state === 'there' && before !== 'there') track.there += 1;
    if (state !== 'there' && before === 'there') track.there -= 1;
    this.onProgress(run.stack);
  }

  private failed(run: { stack: string; index: number }, imageId: string, error: unknown): void {
    const given = error instanceof DOMException && error.name === 'AbortError';
    const inner = (error as { error?: unknown } | null)?.error;
    if (given || (inner instanceof DOMException && inner.name === 'AbortError')) {
      this.become(run, imageId, 'none');
      this.pump();
      return;
    }
    const track = this.tracks.get(run.stack);
    const tries = (track?.tries[run.index] ?? 0) + 1;
    if (track) track.tries[run.index] = tries;
    this.become(run, imageId, 'failed');
    const wait = AGAIN[tries - 1];
    if (wait !== undefined) {
      setTimeout(() => {
        if (this.stopped || this.stateOf(run.stack, run.index) !== 'failed') return;
        this.become(run, imageId, 'none');
        this.pump();
      }, wait);
    }
    this.pump();
  }

  /** Makes room by removing what is farther away than what comes; false when nothing is. */
  private makeRoom(track: Track, index: number, urgent: boolean): boolean {
    const needs = this.bytesOf(track.stack);
    const coming = [...this.running.values()].length * needs;
    if (this.bytes + coming + needs <= this.budget) return true;
    const own = urgent ? -1 : this.distance(track.stack.id, index);
    while (this.bytes + coming + needs > this.budget) {
      const victim = this.farthest();
      if (!victim || victim.far <= own + 1) return urgent;
      this.evict(victim.imageId);
      victim.track.states[victim.index] = 'none';
      victim.track.there -= 1;
      this.onProgress(victim.track.stack.id);
    }
    return true;
  }

  private farthest(): { track: Track; index: number; imageId: string; far: number } | null {
    let worst: { track: Track; index: number; imageId: string; far: number } | null = null;
    for (const track of this.tracks.values()) {
      if (track.there === 0) continue;
      track.states.forEach((state, index) => {
        if (state !== 'there') return;
        const far = this.distance(track.stack.id, index);
        if (!worst || far > worst.far) worst = { track, index, imageId: (track.stack.frames[index] as Frame).imageId, far };
      });
    }
    return worst;
  }

  private evict(imageId: string): void {
    this.bytes -= this.sizes.get(imageId) ?? 0;
    this.sizes.delete(imageId);
    if (cache.getImageLoadObject(imageId)) cache.removeImageLoadObject(imageId, { force: true });
  }
}
