// Planes cut out of the stack in use, beside it, with crosshairs; slices are filled in as they come.
import { cache, imageLoader, type Types } from '@cornerstonejs/core';

import { isEven, isVolume } from '../dicom/geometry';
import type { Stack } from '../dicom/model';
import { closeBlock, cutImage, cutStack, filledOf, fillSlice, openBlock, parseCut } from '../mpr/cuts';

import type { Pane } from './pane';
import { forget, introduce } from './provider';
import type { Scheduler } from './schedule';
import { Signal } from './signal';

export interface MprState {
  stack: string;
  filled: number;
  total: number;
  failed: boolean;
  /** The slices stand in uneven steps: between them more or less is made up. */
  uneven: boolean;
}

const AT_ONCE = 4;
const REDRAW = 350;
const MODALITIES = new Set(['CT', 'MR', 'PT', 'NM']);

/** Whether planes can be cut out of a stack. */
export function canCut(stack: Stack | null): boolean {
  return stack !== null && MODALITIES.has(stack.modality) && !stack.id.includes('#') && stack.frames.length >= 6 && stack.known && isVolume(stack.frames);
}

export class Mpr {
  readonly state = new Signal<MprState | null>(null);
  private stopped = true;
  private stacks: Stack[] = [];
  private uneven = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private panes: () => readonly Pane[],
    private bytes: number,
    private scheduler: Scheduler,
  ) {}

  /** Opens the planes of a stack; the image `index` is fetched first. */
  async open(stack: Stack, index: number): Promise<Stack[] | null> {
    const start = stack.frames[index];
    if (!canCut(stack) || !start) return null;
    const sample = await imageLoader.loadAndCacheImage(start.imageId);
    if (!openBlock(stack, sample, this.bytes)) return null;
    this.stopped = false;
    this.uneven = !isEven(stack.frames);
    this.stacks = (['j', 'i'] as const).map((axis) => cutStack(stack, axis)).filter((made): made is Stack => made !== null);
    this.stacks.forEach((made) => introduce(made.frames));
    fillSlice(stack.id, start.imageId, sample);
    this.tell(stack.id);
    void this.fill(stack, index);
    return this.stacks;
  }

  close(): void {
    const now = this.state.get();
    this.stopped = true;
    clearTimeout(this.timer);
    this.timer = undefined;
    if (now) closeBlock(now.stack);
    this.stacks.forEach((stack) => {
      this.scheduler.remove(stack.id);
      forget(stack.frames);
    });
    this.stacks = [];
    this.state.set(null);
  }

  private tell(id: string, failed = false): void {
    this.state.set({ stack: id, ...filledOf(id), failed, uneven: this.uneven });
  }

  /** Fetches every slice, from the middle of interest outwards, without keeping it twice. */
  private async fill(stack: Stack, index: number): Promise<void> {
    const order = stack.frames.map((frame, at) => ({ frame, far: Math.abs(at - index) })).sort((a, b) => a.far - b.far).map((one) => one.frame.imageId);
    let at = 0;
    const work = async (): Promise<void> => {
      for (;;) {
        const imageId = order[at];
        at += 1;
        if (imageId === undefined || this.stopped) return;
        const image = await this.slice(imageId);
        if (this.stopped) return;
        if (image && fillSlice(stack.id, imageId, image)) this.redrawSoon(stack.id);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    if (this.stopped) return;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.redraw();
    const { filled, total } = filledOf(stack.id);
    this.tell(stack.id, filled < total);
  }

  private async slice(imageId: string): Promise<Types.IImage | null> {
    const kept = cache.getImageLoadObject(imageId);
    for (let tries = 0; tries < 3; tries += 1) {
      const image = await (kept?.promise ?? imageLoader.loadImage(imageId)).catch(() => null);
      if (image || this.stopped) return image as Types.IImage | null;
      await new Promise((resolve) => setTimeout(resolve, 800 * (tries + 1)));
    }
    return null;
  }

  private redrawSoon(id: string): void {
    if (this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.tell(id);
      this.redraw();
    }, REDRAW);
  }

  /** Cuts of before hold too few slices: those kept are dropped, those on the screen are made anew. */
  private redraw(): void {
    for (const stack of this.stacks) this.scheduler.drop(stack.id);
    for (const pane of this.panes()) {
      const frame = pane.shownFrame;
      if (frame && parseCut(frame.imageId)) pane.redrawWith(cutImage(frame.imageId));
    }
  }
}
