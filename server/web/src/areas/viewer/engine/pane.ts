// One pane: its stack, where it stands in it, and how it is drawn. An image that is not there never holds anything up.
import { Enums, type StackViewport, type Types } from '@cornerstonejs/core';

import type { Frame, Stack } from '../dicom/model';
import type { PaneState, Point } from '../types';

import { onScreen } from './onScreen';
import { defaultWindow, empty, isColour, type PaneHost, type PaneView } from './paneView';
import { turn, zoomed } from './presentation';
import { fileWindows, rangeOf, windowOf, type Window } from './presets';
import { Signal } from './signal';

export class Pane {
  readonly view = new Signal<PaneView>(empty);
  direction: 1 | -1 = 1;
  private placed: Stack | null = null;
  private drawing = false;
  private again = false;
  private pending: Partial<PaneState> | null = null;
  private quiet = false;
  private element: HTMLDivElement | null = null;
  /** Whether somebody chose this window, or the protocol; else it is the image's own. */
  private ownWindow: Window | null = null;

  constructor(
    readonly key: number,
    private host: PaneHost,
  ) {}

  private get viewport(): StackViewport | null {
    return this.host.viewportOf(this.key);
  }

  get frame(): Frame | null {
    return this.view.get().stack?.frames[this.view.get().index] ?? null;
  }

  get shownFrame(): Frame | null {
    const { stack, shown } = this.view.get();
    return shown === null ? null : (stack?.frames[shown] ?? null);
  }

  attach(element: HTMLDivElement): void {
    this.element = element;
    this.placed = null;
    element.addEventListener(Enums.Events.VOI_MODIFIED, this.onWindow);
    element.addEventListener(Enums.Events.CAMERA_MODIFIED, this.onCamera);
    element.addEventListener(Enums.Events.IMAGE_RENDERED, this.onCamera);
    element.addEventListener('pointerdown', this.grip);
    window.addEventListener('pointerup', this.grip);
    void this.draw();
  }

  detach(): void {
    if (this.placed && this.viewport) this.pending = this.capture();
    this.element?.removeEventListener(Enums.Events.VOI_MODIFIED, this.onWindow);
    this.element?.removeEventListener(Enums.Events.CAMERA_MODIFIED, this.onCamera);
    this.element?.removeEventListener(Enums.Events.IMAGE_RENDERED, this.onCamera);
    this.element?.removeEventListener('pointerdown', this.grip);
    window.removeEventListener('pointerup', this.grip);
    this.element = null;
    this.placed = null;
  }

  /** Puts a stack into the pane. */
  show(stack: Stack | null, how: { index?: number; window?: Window | null; state?: Partial<PaneState>; cine?: number } = {}): void {
    const known = stack?.frames.length ?? 0;
    const index = Math.min(Math.max(0, how.index ?? (stack?.kind === 'clip' ? 0 : Math.floor((known - 1) / 2))), Math.max(0, known - 1));
    this.pending = how.state ?? null;
    this.ownWindow = how.state?.window ?? how.window ?? defaultWindow(stack);
    this.placed = null;
    this.view.set({ ...empty, stack, index, cine: how.cine ?? 0, window: this.ownWindow });
    if (!stack) this.clear();
    void this.draw();
  }

  /** More is known of the stack that is shown: everything stays where it is. */
  renew(stack: Stack): void {
    const before = this.view.get();
    const old = before.stack?.frames[before.index];
    const at = old ? stack.frames.findIndex((frame) => frame.imageId === old.imageId) : -1;
    const middle = stack.kind === 'clip' ? 0 : Math.floor((stack.frames.length - 1) / 2);
    const index = at >= 0 ? at : Math.min(Math.max(0, stack.frames.length - 1), middle);
    if (this.placed && this.viewport) this.pending = this.capture();
    if (!this.ownWindow) this.ownWindow = defaultWindow(stack);
    this.placed = null;
    this.view.patch({ stack, index, shown: null });
    void this.draw();
  }

  /** Goes to an image; at once, whether it is there or not. */
  goTo(index: number, by: 'hand' | 'sync' | 'cine'): void {
    const { stack, index: before } = this.view.get();
    if (!stack) return;
    const next = Math.min(stack.frames.length - 1, Math.max(0, Math.round(index)));
    if (next < 0 || next === before) return;
    this.direction = next > before ? 1 : -1;
    this.view.patch({ index: next, failed: this.host.scheduler.stateOf(stack.id, next) === 'failed' });
    void this.draw();
    if (by !== 'sync') this.host.scrolled(this, before);
  }

  /** An image came, or went wrong. */
  arrived(stack: string, index: number): void {
    const view = this.view.get();
    if (view.stack?.id !== stack) return;
    if (view.shown === view.index && index !== view.index) return;
    void this.draw();
  }

  /** The pixels of the image on the screen have changed (a plane that is cut out of more slices than before). */
  redrawWith(image: Types.IImage): void {
    const viewport = this.viewport;
    if (this.placed) viewport?.renderImageObject(image);
  }

  /** Draws again from nothing, with the state as it was (the graphics have changed). */
  startOver(): void {
    const window = this.view.get().window;
    this.pending = { ...this.last, window };
    this.placed = null;
    void this.draw();
  }

  private last: Partial<PaneState> = {};
  /** Nobody has zoomed or moved it: then it fills the pane, whatever size that gets. */
  private fitted = true;
  private held = false;
  private camped = '';
  /** Cornerstone's zoom when the image is fitted. */
  private whole = 1;
  private readonly grip = (event: PointerEvent): void => {
    this.held = event.type === 'pointerdown';
  };

  private async draw(): Promise<void> {
    if (this.drawing) {
      this.again = true;
      return;
    }
    this.drawing = true;
    try {
      do {
        this.again = false;
        await this.drawOnce();
      } while (this.again);
    } finally {
      this.drawing = false;
    }
  }

  private async drawOnce(): Promise<void> {
    const viewport = this.viewport;
    const { stack, index } = this.view.get();
    if (!viewport || !stack || stack.frames.length === 0) return;
    const { scheduler } = this.host;
    const there = scheduler.stateOf(stack.id, index) === 'there' ? index : scheduler.nearest(stack.id, index);
    if (there === null) {
      if (this.view.get().shown !== null) this.clear();
      this.view.patch({ shown: null });
      return;
    }
    try {
      if (this.placed !== stack) await this.place(viewport, stack, there);
      else if (viewport.getCurrentImageIdIndex() !== there) await viewport.setImageIdIndex(there);
    } catch {
      // The image went while it was put up (memory, another stack): the next arrival draws again.
      return;
    }
    if (this.view.get().stack !== stack) return;
    this.view.patch({ shown: there });
    this.measure();
    const frame = stack.frames[there];
    if (frame && there === index) this.host.shown(frame);
  }

  private async place(viewport: StackViewport, stack: Stack, there: number): Promise<void> {
    this.quiet = true;
    try {
      await viewport.setStack(stack.frames.map((frame) => frame.imageId), there);
      this.placed = stack;
      if (this.ownWindow && !isColour(stack)) viewport.setProperties({ voiRange: rangeOf(this.ownWindow) });
      const { zoom = 1, pan = [0, 0] } = this.pending ?? {};
      this.fitted = Math.abs(zoom - 1) < 0.001 && Math.abs(pan[0]) < 0.02 && Math.abs(pan[1]) < 0.02;
      viewport.resetCamera();
      this.whole = viewport.getZoom();
      if (this.pending) this.apply(viewport, this.pending);
      this.pending = null;
      viewport.render();
    } finally {
      this.quiet = false;
    }
    this.readWindow(viewport);
  }

  private clear(): void {
    this.placed = null;
    const canvas = this.viewport?.getCanvas();
    canvas?.getContext('2d')?.clearRect(0, 0, canvas.width, canvas.height);
  }

  /** How the image stands now, for saving and for after a change of stacks. */
  capture(): PaneState {
    const { stack, index, invert } = this.view.get();
    const frame = stack?.frames[index];
    const viewport = this.placed ? this.viewport : null;
    const camera = viewport?.getCamera();
    return {
      stack: stack?.id ?? null,
      sop: frame?.sop ?? null,
      frame: frame?.frame ?? 1,
      window: this.ownWindow,
      invert,
      rotation: viewport?.getViewPresentation().rotation ?? 0,
      flipH: camera?.flipHorizontal === true,
      flipV: camera?.flipVertical === true,
      ...zoomed(viewport, this.whole, this.fitted),
    };
  }

  private apply(viewport: StackViewport, state: Partial<PaneState>): void {
    if (state.window && !isColour(this.view.get().stack)) {
      this.ownWindow = state.window;
      viewport.setProperties({ voiRange: rangeOf(state.window) });
    }
    turn(viewport, state, this.whole);
  }

  setWindow({ centre, width }: Window, tell = true): void {
    const window = { centre, width };
    const { stack } = this.view.get();
    if (!stack || isColour(stack)) return;
    this.ownWindow = window;
    this.view.patch({ window });
    const viewport = this.viewport;
    if (!viewport || !this.placed) return;
    this.quiet = true;
    viewport.setProperties({ voiRange: rangeOf(window) });
    viewport.render();
    this.quiet = false;
    if (tell) this.host.windowed(this);
  }

  /** The window that the image brings itself. */
  fileWindow(): void {
    const frame = this.shownFrame;
    const window = frame ? fileWindows(frame)[0] : undefined;
    if (window) this.setWindow(window);
    else this.autoWindow();
  }

  /** A window over what there is in the image. */
  autoWindow(): void {
    const image = this.placed ? this.viewport?.getCornerstoneImage() : undefined;
    if (!image) return;
    const { minPixelValue: least, maxPixelValue: most } = image;
    this.setWindow({ centre: (least + most) / 2, width: Math.max(1, most - least) });
  }

  invert(): void {
    const viewport = this.viewport;
    if (!viewport || !this.placed) return;
    const invert = viewport.getProperties().invert !== true;
    viewport.setProperties({ invert });
    viewport.render();
    this.view.patch({ invert });
    this.host.windowed(this);
  }

  rotate(by: number): void {
    this.withViewport((viewport) => viewport.setViewPresentation({ rotation: (viewport.getRotation() + by + 360) % 360 }));
  }

  flip(which: 'flipHorizontal' | 'flipVertical'): void {
    this.withViewport((viewport) => viewport.setCamera({ [which]: !viewport.getCamera()[which] }));
  }

  zoomBy(factor: number): void {
    this.fitted = false;
    this.withViewport((viewport) => viewport.setZoom(Math.min(40, Math.max(0.05, viewport.getZoom() * factor))));
  }

  setZoomPan(zoom: number, pan: Types.Point2): void {
    this.quiet = true;
    this.fitted = false;
    this.withViewport((viewport) => {
      viewport.setZoom(zoom);
      viewport.setPan(pan);
    });
    this.quiet = false;
  }

  zoomPan(): { zoom: number; pan: Types.Point2 } | null {
    const viewport = this.placed ? this.viewport : null;
    return viewport ? { zoom: viewport.getZoom(), pan: viewport.getPan() } : null;
  }

  /** Whether the whole image fills the pane, as it was put up. */
  isFitted(): boolean {
    return this.placed !== null && this.fitted;
  }

  fit(): void {
    this.fitted = true;
    this.withViewport((viewport) => {
      const { flipHorizontal = false, flipVertical = false } = viewport.getCamera();
      const rotation = viewport.getRotation();
      viewport.resetCamera({ resetPan: true, resetZoom: true });
      this.whole = viewport.getZoom();
      // Fitting is not putting upright.
      if (flipHorizontal) viewport.setCamera({ flipHorizontal });
      if (flipVertical) viewport.setCamera({ flipVertical });
      if (rotation) viewport.setViewPresentation({ rotation });
    });
  }

  /** Everything as the image came. */
  reset(): void {
    this.fitted = true;
    this.withViewport((viewport) => {
      viewport.setCamera({ flipHorizontal: false, flipVertical: false });
      viewport.setViewPresentation({ rotation: 0 });
      viewport.resetCamera();
      this.whole = viewport.getZoom();
      viewport.resetProperties();
    });
    this.ownWindow = defaultWindow(this.view.get().stack);
    this.view.patch({ invert: this.viewport?.getProperties().invert === true });
    if (this.ownWindow) this.setWindow(this.ownWindow);
    else if (this.viewport && this.placed) this.readWindow(this.viewport);
  }

  private withViewport(change: (viewport: StackViewport) => void): void {
    const viewport = this.viewport;
    if (!viewport || !this.placed) return;
    change(viewport);
    viewport.render();
  }

  /** The point in space under a place of the pane. */
  worldAt(x: number, y: number): Point | null {
    const viewport = this.placed ? this.viewport : null;
    return viewport ? (viewport.canvasToWorld([x, y]) as Point) : null;
  }

  canvasAt(point: Point): [number, number] | null {
    const viewport = this.placed ? this.viewport : null;
    if (!viewport) return null;
    const at = viewport.worldToCanvas(point);
    return [at[0], at[1]];
  }

  private readonly onWindow = (): void => {
    const viewport = this.viewport;
    if (!viewport || this.quiet || !this.placed) return;
    const before = this.view.get().window;
    this.readWindow(viewport);
    const now = this.view.get().window;
    if (now && (!before || before.centre !== now.centre || before.width !== now.width)) {
      this.ownWindow = now;
      this.host.windowed(this);
    }
  };

  private readWindow(viewport: StackViewport): void {
    const { voiRange, invert } = viewport.getProperties();
    const window = voiRange && !isColour(this.view.get().stack) ? windowOf(voiRange) : null;
    const before = this.view.get().window;
    const same = window && before && Math.abs(window.centre - before.centre) < 0.01 && Math.abs(window.width - before.width) < 0.01;
    this.view.patch(same ? { invert: invert === true } : { window, invert: invert === true });
  }

  private readonly onCamera = (): void => {
    if (!this.placed) return;
    this.measure();
    if (!this.quiet) this.host.moved(this);
  };

  /** Directions and scale as they are on the screen now. */
  private measure(): void {
    const viewport = this.viewport;
    const frame = this.shownFrame;
    const seen = viewport && frame ? onScreen(viewport, frame) : null;
    if (!viewport || !seen) return;
    const before = this.view.get();
    this.view.patch({
      zoom: Math.abs(seen.zoom - before.zoom) > 0.001 ? seen.zoom : before.zoom,
      pixelsPerMillimetre: seen.pixelsPerMillimetre,
      letters: JSON.stringify(seen.letters) === JSON.stringify(before.letters) ? before.letters : seen.letters,
    });
    const { flipHorizontal, flipVertical } = viewport.getCamera();
    const how = viewport.getViewPresentation();
    const camped = JSON.stringify([how.zoom, how.pan]);
    if (this.held && camped !== this.camped && !this.quiet) this.fitted = false;
    this.camped = camped;
    this.last = {
      rotation: how.rotation ?? 0, flipH: flipHorizontal === true, flipV: flipVertical === true, invert: before.invert, ...zoomed(viewport, this.whole, this.fitted),
    };
  }
}
