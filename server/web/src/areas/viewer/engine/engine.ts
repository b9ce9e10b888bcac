// The viewer without its surface: studies, panes, layout, what goes together, marks, and what a key or button does.
import { RenderingEngine, Enums, type StackViewport } from '@cornerstonejs/core';
import { ToolGroupManager, type Types as ToolTypes } from '@cornerstonejs/tools';

import type { Action } from '../actions';
import type { Frame, Stack } from '../dicom/model';
import { nearestIndex } from '../dicom/geometry';
import { protocols } from '../hanging';
import { fitting, hang, type Protocol } from '../hanging/match';
import type { Alignment, KeyImage, PaneState, Point, StudyRef } from '../types';

import { Cine } from './cine';
import { drawCross } from './cross';
import { Library } from './library';
import { Mpr, canCut } from './mprMode';
import { Pane, type PaneHost } from './pane';
import { presetOf } from './presets';
import { Scheduler, type Progress } from './schedule';
import { Signal } from './signal';
import { drawing, imageBudget, startCornerstone } from './start';
import { align, mayGoTogether, partner } from './sync';
import { chooseTool, makeTools, showMarks, type ToolAction } from './tools';

export interface EngineState {
  layout: { rows: number; columns: number };
  panes: number;
  active: number;
  tool: ToolAction;
  overlays: boolean;
  marksShown: boolean;
  sync: boolean;
  protocol: string | null;
  keyImages: KeyImage[];
  alignments: Alignment[];
}

type Share = 'scroll' | 'window' | 'zoom';
let count = 0;

export class Engine implements PaneHost {
  readonly state: Signal<EngineState>;
  readonly progress = new Signal<ReadonlyMap<string, Progress>>(new Map());
  readonly scheduler: Scheduler;
  readonly library: Library;
  readonly mpr: Mpr;
  readonly seen = new Set<string>();
  /** Called when something changed that is saved. */
  onChanged: () => void = () => undefined;
  onSeen: (share: number) => void = () => undefined;
  /** Called when images became known, so that marks on them can be put back. */
  onKnown: () => void = () => undefined;
  panes: Pane[] = [];
  touched = false;
  private readonly id: string;
  private readonly rendering: RenderingEngine;
  private readonly group: ToolTypes.IToolGroup;
  private readonly cine: Cine;
  private implied: Alignment[] = [];
  private groups: { panes: number[]; share: Share[] }[] = [];
  private before: { layout: EngineState['layout']; panes: PaneState[] } | null = null;
  private offDrawing: () => void;
  private progressTimer: ReturnType<typeof setTimeout> | undefined;
  private resizes: ResizeObserver;

  constructor(
    private studies: readonly StudyRef[],
    readonly readOnly: boolean,
  ) {
    startCornerstone();
    count += 1;
    this.id = `medrelay-${count}`;
    this.rendering = new RenderingEngine(this.id);
    this.group = makeTools(this.id);
    const budget = imageBudget();
    this.scheduler = new Scheduler(budget, (stack, index) => this.arrived(stack, index), (stack) => this.progressed(stack));
    this.state = new Signal<EngineState>({
      layout: { rows: 1, columns: 1 }, panes: 1, active: 0, tool: 'tool.window', overlays: true, marksShown: true, sync: true, protocol: null, keyImages: [], alignments: [],
    });
    this.panes = [new Pane(0, this)];
    this.library = new Library(studies, (stacks, gone) => this.known(stacks, gone));
    this.mpr = new Mpr(() => this.panes, Math.max(budget / 2, 268_435_456), this.scheduler);
    this.cine = new Cine(() => this.panes, this.scheduler);
    chooseTool(this.group, 'tool.window', readOnly);
    this.offDrawing = drawing.follow(() => this.panes.forEach((pane) => pane.startOver()));
    this.resizes = new ResizeObserver(() => this.resized());
  }

  /** Begins to fetch and show. */
  async open(): Promise<void> {
    const opened = this.library.open();
    const off = this.library.state.follow(() => {
      if (this.library.stacks().some((stack) => !stack.prior) && !this.library.state.get().waiting.includes(this.studies.find((study) => !study.prior)?.uid ?? '')) {
        off();
        this.hang();
      }
    });
    await opened;
    off();
    // Priors may have changed which protocol fits.
    this.hang();
    await this.library.rest();
    this.hang();
    this.idle();
  }

  stop(): void {
    this.cine.stop();
    this.library.stop();
    this.mpr.close();
    this.offDrawing();
    this.resizes.disconnect();
    clearTimeout(this.progressTimer);
    this.panes.forEach((pane) => pane.detach());
    this.scheduler.stop();
    ToolGroupManager.destroyToolGroup(this.id);
    this.rendering.destroy();
  }

  // --- panes and their elements

  viewportId(key: number): string {
    return `${this.id}-${key}`;
  }

  viewportOf(key: number): StackViewport | null {
    return (this.rendering.getViewport(this.viewportId(key)) as StackViewport | undefined) ?? null;
  }

  viewportIds(): string[] {
    return this.panes.map((pane) => this.viewportId(pane.key)).filter((id) => this.rendering.getViewport(id));
  }

  attach(key: number, element: HTMLDivElement): () => void {
    const viewportId = this.viewportId(key);
    this.rendering.enableElement({ viewportId, type: Enums.ViewportType.STACK, element, defaultOptions: { background: [0, 0, 0] } });
    this.group.addViewport(viewportId, this.id);
    this.panes[key]?.attach(element);
    this.resizes.observe(element);
    return () => {
      this.resizes.unobserve(element);
      this.panes[key]?.detach();
      if (!this.rendering.hasBeenDestroyed && this.rendering.getViewport(viewportId)) {
        this.group.removeViewports(this.id, viewportId);
        this.rendering.disableElement(viewportId);
      }
    };
  }

  private resized(): void {
    if (this.rendering.hasBeenDestroyed) return;
    const fitted = this.panes.filter((pane) => pane.isFitted());
    this.rendering.resize(true, true);
    fitted.forEach((pane) => pane.fit());
    if (this.mpr.state.get()) drawCross(this.panes.slice(0, 3));
  }

  get active(): Pane {
    return this.panes[this.state.get().active] ?? (this.panes[0] as Pane);
  }

  activate(key: number): void {
    if (this.state.get().active === key) return;
    this.state.patch({ active: key });
    this.wishes();
  }

  setLayout(rows: number, columns: number): void {
    const wanted = rows * columns;
    while (this.panes.length < wanted) this.panes.push(new Pane(this.panes.length, this));
    this.panes.slice(wanted).forEach((pane) => pane.show(null));
    this.panes = this.panes.slice(0, wanted);
    this.state.patch({ layout: { rows, columns }, panes: wanted, active: Math.min(this.state.get().active, wanted - 1) });
    this.wishes();
  }

  /** A layout that somebody chose: what is shown stays, free panes get the next stacks. */
  chooseLayout(rows: number, columns: number): void {
    this.touched = true;
    if (this.mpr.state.get()) this.closeMpr();
    this.setLayout(rows, columns);
    const used = new Set(this.panes.map((pane) => pane.view.get().stack?.id));
    const free = this.library.stacks().filter((stack) => !used.has(stack.id) && stack.kind !== 'document');
    for (const pane of this.panes) {
      if (pane.view.get().stack) continue;
      const next = free.shift();
      if (next) this.put(pane.key, next);
    }
    this.groups = [{ panes: this.panes.map((_, at) => at), share: ['scroll'] }];
    this.onChanged();
  }

  /** Shows a stack in a pane. */
  put(key: number, stack: Stack, how: Parameters<Pane['show']>[1] = {}): void {
    const pane = this.panes[key];
    if (!pane) return;
    if (!stack.known) void this.library.ensure(stack.series);
    if (stack.frames.length > 0) this.scheduler.add(stack);
    pane.show(stack, how);
    this.wishes();
  }

  /** A stack that somebody dragged or clicked. */
  choose(key: number, stackId: string): void {
    const stack = this.library.stacks().find((one) => one.id === stackId);
    if (!stack) return;
    this.touched = true;
    if (this.mpr.state.get()) this.closeMpr();
    this.put(key, stack);
    this.activate(key);
    this.onChanged();
  }

  // --- hanging

  /** The protocols that fit, the best first. */
  fitting(): Protocol[] {
    return fitting(protocols, this.library.stacks(), true);
  }

  /** Hangs by protocol; without a name by the best that fits, unless somebody has arranged things. */
  hang(name?: string): void {
    if (name === undefined && this.touched) return;
    const stacks = this.library.stacks();
    const wanted = name === undefined ? fitting(protocols, stacks)[0] : protocols.find((one) => one.id === name);
    if (!wanted || stacks.length === 0) return;
    if (name !== undefined) {
      this.touched = true;
      if (this.mpr.state.get()) this.closeMpr();
    }
    const hung = trimmed(hang(wanted, stacks));
    const { rows, columns } = hung.length < wanted.panes.length ? gridFor(hung.length) : wanted.layout;
    this.setLayout(rows, columns);
    this.state.patch({ protocol: wanted.id });
    this.groups = wanted.sync ?? [];
    hung.forEach(({ stack, rule }, at) => {
      if (rule?.cut && stack && name !== undefined) return;
      const pane = this.panes[at];
      if (!stack || !pane) return pane?.show(null);
      if (pane.view.get().stack?.id !== stack.id) this.put(at, stack, { window: rule?.window ?? null });
      if (rule?.cine && stack.kind === 'clip' && pane.view.get().cine === 0) this.cine.set(pane, stack.rate || 15);
    });
    const cut = hung.findIndex((one) => one.rule?.cut);
    if (name !== undefined && cut >= 0) void this.hangCuts(hung);
  }

  /** Panes of a protocol that want planes which the study does not bring. */
  private async hangCuts(hung: ReturnType<typeof hang>): Promise<void> {
    const source = this.panes[0]?.view.get().stack;
    const made = source && canCut(source) ? await this.mpr.open(source, this.panes[0]?.view.get().index ?? 0) : null;
    hung.forEach(({ stack, rule }, at) => {
      if (!rule?.cut) return;
      const plane = made?.find((one, place) => (place === 0 ? 'coronal' : 'sagittal') === rule.cut && one);
      const given = plane ?? stack;
      if (given) this.put(at, given);
    });
  }

  private known(stacks: Stack[], gone: string[]): void {
    for (const stack of stacks) {
      if (stack.frames.length > 0) this.scheduler.add(stack);
      for (const pane of this.panes) if (pane.view.get().stack?.id === stack.id) pane.renew(stack);
    }
    for (const pane of this.panes) {
      const shown = pane.view.get().stack;
      if (!shown || !gone.includes(shown.id)) continue;
      const used = new Set(this.panes.map((one) => one.view.get().stack?.id));
      const next = stacks.find((stack) => !used.has(stack.id)) ?? stacks[0];
      if (next) this.put(pane.key, next);
    }
    this.onKnown();
    this.wishes();
  }

  private idle(): void {
    const current = this.library.stacks().filter((stack) => !stack.prior && (stack.kind === 'images' || stack.kind === 'clip'));
    this.scheduler.setIdle(current.map((stack) => stack.id));
  }

  // --- PaneHost

  private wishes(): void {
    const { active } = this.state.get();
    const order = [...this.panes].sort((a, b) => Number(b.key === active) - Number(a.key === active));
    this.scheduler.wish(
      order.flatMap((pane) => {
        const { stack, index } = pane.view.get();
        return stack ? [{ stack: stack.id, index, direction: pane.direction, active: pane.key === active }] : [];
      }),
    );
  }

  /** Stacks of different spaces that nobody aligned: from where they stand, the same way in both. */
  private relate(a: Stack, indexA: number, b: Stack, indexB: number): void {
    const of = (pair: Alignment) => (pair.a === a.id && pair.b === b.id) || (pair.a === b.id && pair.b === a.id);
    if (![...this.state.get().alignments, ...this.implied].some(of)) this.implied.push(align(a, indexA, b, indexB));
  }

  toggleSync(): void {
    // Whoever takes them apart and together again has put them as they should stand.
    this.implied = [];
    this.state.patch({ sync: !this.state.get().sync });
  }

  scrolled(pane: Pane, before: number): void {
    const { stack, index } = pane.view.get();
    if (stack && this.state.get().sync && !this.mpr.state.get()) {
      for (const other of this.panesWith(pane, 'scroll')) {
        const shown = other.view.get().stack;
        if (!shown) continue;
        if (mayGoTogether(stack, shown)) this.relate(stack, before, shown, other.view.get().index);
        const to = partner(stack, index, shown, [...this.state.get().alignments, ...this.implied]);
        if (to !== null) other.goTo(to, 'sync');
      }
    }
    this.wishes();
    if (this.mpr.state.get()) requestAnimationFrame(() => drawCross(this.panes.slice(0, 3)));
  }

  windowed(pane: Pane): void {
    const { window, stack } = pane.view.get();
    if (window && stack && this.state.get().sync) {
      const together = this.mpr.state.get() ? this.panes.filter((one) => one !== pane) : this.panesWith(pane, 'window');
      for (const other of together) {
        if (other.view.get().stack?.modality === stack.modality) other.setWindow(window, false);
      }
    }
    this.onChanged();
  }

  moved(pane: Pane): void {
    if (this.mpr.state.get()) {
      drawCross(this.panes.slice(0, 3));
      return;
    }
    if (!this.state.get().sync || pane.key !== this.state.get().active || pane.isFitted()) return;
    const how = pane.zoomPan();
    if (how) this.panesWith(pane, 'zoom').forEach((other) => other.setZoomPan(how.zoom, how.pan));
  }

  shown(frame: Frame): void {
    if (this.seen.has(frame.imageId) || frame.imageId.startsWith('mrcut:')) return;
    this.seen.add(frame.imageId);
    const current = this.library.stacks().filter((stack) => !stack.prior && (stack.kind === 'images' || stack.kind === 'clip'));
    const total = current.reduce((sum, stack) => sum + Math.max(stack.expected, stack.frames.length), 0);
    const own = current.reduce((sum, stack) => sum + stack.frames.filter((one) => this.seen.has(one.imageId)).length, 0);
    this.onSeen(total > 0 ? Math.min(1, own / total) : 0);
  }

  private panesWith(pane: Pane, share: Share): Pane[] {
    const group = this.groups.find((one) => one.panes.includes(pane.key) && one.share.includes(share));
    return group ? this.panes.filter((other) => other !== pane && group.panes.includes(other.key)) : [];
  }

  private arrived(stack: string, index: number): void {
    this.panes.forEach((pane) => pane.arrived(stack, index));
    if (this.mpr.state.get()) requestAnimationFrame(() => drawCross(this.panes.slice(0, 3)));
  }

  private changedProgress = new Set<string>();

  private progressed(stack: string): void {
    this.changedProgress.add(stack);
    this.progressTimer ??= setTimeout(() => {
      this.progressTimer = undefined;
      const next = new Map(this.progress.get());
      for (const id of this.changedProgress) next.set(id, this.scheduler.progress(id));
      this.changedProgress.clear();
      this.progress.set(next);
    }, 100);
  }

  // --- planes

  async toggleMpr(): Promise<boolean> {
    if (this.mpr.state.get()) {
      this.closeMpr();
      return true;
    }
    const { stack, index } = this.active.view.get();
    if (!stack || !canCut(stack)) return false;
    const made = await this.mpr.open(stack, index);
    if (!made || made.length < 2) return false;
    this.touched = true;
    this.before = { layout: this.state.get().layout, panes: this.panes.map((pane) => pane.capture()) };
    const window = this.active.view.get().window;
    this.setLayout(1, 3);
    [stack, ...made].forEach((one, at) => this.put(at, one, { window, index: at === 0 ? index : Math.floor(one.frames.length / 2) }));
    this.activate(0);
    return true;
  }

  private closeMpr(): void {
    const before = this.before;
    this.mpr.close();
    this.panes.forEach((pane) => pane.view.patch({ cross: null }));
    this.before = null;
    if (before) this.restore(before.layout, before.panes);
  }

  /** Goes to a point in space in every pane that can show it. */
  locate(point: Point, except?: Pane): void {
    for (const pane of this.panes) {
      const { stack } = pane.view.get();
      if (pane === except || !stack) continue;
      const found = nearestIndex(stack.frames, point);
      if (found) pane.goTo(found.index, 'sync');
    }
    this.wishes();
    if (this.mpr.state.get()) requestAnimationFrame(() => drawCross(this.panes.slice(0, 3)));
  }

  /** Puts back panes as they were saved; true when anything could be shown. */
  restore(layout: EngineState['layout'], states: readonly PaneState[]): boolean {
    const stacks = this.library.stacks();
    const found = states.map((state) => stacks.find((stack) => stack.id === state.stack) ?? null);
    if (!found.some(Boolean)) return false;
    this.setLayout(layout.rows, layout.columns);
    found.forEach((stack, at) => {
      const state = states[at];
      if (!stack || !state) return this.panes[at]?.show(null);
      const index = stack.frames.findIndex((frame) => frame.sop === state.sop && frame.frame === state.frame);
      this.put(at, stack, index >= 0 ? { index, state } : { state });
    });
    return true;
  }

  // --- what is aligned, tools, cine

  /** Takes down that the pane in use and the others stand beside each other; again to forget it. */
  alignHere(): void {
    const a = this.active;
    const stackA = a.view.get().stack;
    if (!stackA) return;
    const made: Alignment[] = [];
    for (const pane of this.panes) {
      const stackB = pane.view.get().stack;
      if (pane === a || !stackB || stackB.id === stackA.id) continue;
      made.push(align(stackA, a.view.get().index, stackB, pane.view.get().index));
    }
    const others = this.state.get().alignments.filter((pair) => !made.some((one) => (one.a === pair.a && one.b === pair.b) || (one.a === pair.b && one.b === pair.a)));
    this.groups = [{ panes: this.panes.map((_, at) => at), share: ['scroll', 'window'] }];
    this.state.patch({ alignments: [...others, ...made], sync: true });
    this.onChanged();
  }

  chooseTool(tool: ToolAction): void {
    chooseTool(this.group, tool, this.readOnly);
    this.state.patch({ tool, marksShown: true });
  }

  toggleMarks(): void {
    const shown = !this.state.get().marksShown;
    showMarks(this.group, shown, this.state.get().tool, this.readOnly);
    this.state.patch({ marksShown: shown });
    this.rendering.render();
  }

  toggleCine(rate?: number): void {
    const pane = this.active;
    const { cine, stack } = pane.view.get();
    this.cine.set(pane, rate ?? (cine > 0 ? 0 : stack?.rate || 15));
  }

  changeCine(factor: number): void {
    const { cine } = this.active.view.get();
    if (cine > 0) this.cine.set(this.active, Math.min(60, Math.max(1, cine * factor)));
  }

  /** Puts the image on the screen among the key images, or takes it out. */
  toggleKeyImage(): void {
    const frame = this.active.shownFrame;
    if (!frame || frame.imageId.startsWith('mrcut:') || this.readOnly) return;
    const same = (key: KeyImage) => key.sop === frame.sop && key.frame === frame.frame;
    const { keyImages } = this.state.get();
    const next = keyImages.some(same)
      ? keyImages.filter((key) => !same(key))
      : [...keyImages, { study: frame.study, series: frame.series, sop: frame.sop, frame: frame.frame }];
    this.state.patch({ keyImages: next });
    this.onChanged();
  }

  /** Goes to the next key image after the one on the screen. */
  nextKeyImage(): boolean {
    const { keyImages } = this.state.get();
    const frame = this.active.frame;
    const at = keyImages.findIndex((key) => key.sop === frame?.sop && key.frame === frame?.frame);
    const next = keyImages[(at + 1) % Math.max(1, keyImages.length)];
    return next ? this.showImage(next) : false;
  }

  showImage(key: { series: string; sop: string; frame: number }): boolean {
    for (const stack of this.library.stacks()) {
      const index = stack.frames.findIndex((frame) => frame.sop === key.sop && frame.frame === key.frame);
      if (index < 0) continue;
      if (this.active.view.get().stack?.id === stack.id) this.active.goTo(index, 'hand');
      else this.put(this.active.key, stack, { index });
      return true;
    }
    return false;
  }

  window(key: number): void {
    const pane = this.active;
    const preset = presetOf(pane.view.get().stack?.modality ?? '', pane.shownFrame ?? undefined, key);
    if (preset) pane.setWindow(preset);
  }

  /** The next or previous stack into the pane in use. */
  nextStack(by: 1 | -1): void {
    const prior = this.active.view.get().stack?.prior ?? false;
    const stacks = this.library.stacks().filter((stack) => stack.prior === prior && stack.kind !== 'document' && stack.kind !== 'unknown');
    const at = stacks.findIndex((stack) => stack.id === this.active.view.get().stack?.id);
    const next = stacks[at + by];
    if (next) this.choose(this.active.key, next.id);
  }

  /** Does what a key says; false for what the surface must do itself. */
  run(action: Action): boolean {
    return runAction(this, action);
  }
}

/** Without the empty panes at the end. */
function trimmed(hung: ReturnType<typeof hang>): ReturnType<typeof hang> {
  let count = hung.length;
  while (count > 1 && hung[count - 1]?.stack === null) count -= 1;
  return hung.slice(0, count);
}

/** The smallest grid for so many panes. */
function gridFor(count: number): { rows: number; columns: number } {
  const rows = count <= 2 ? 1 : count <= 8 ? 2 : 3;
  return { rows, columns: Math.ceil(count / rows) };
}

/** What an action does to the engine. */
function runAction(engine: Engine, action: Action): boolean {
  const pane = engine.active;
  const { index, stack } = pane.view.get();
  const move = (to: number) => pane.goTo(to, 'hand');
  if (action.startsWith('tool.')) engine.chooseTool(action as ToolAction);
  else if (/^window\.\d$/.test(action)) engine.window(Number(action.slice(7)));
  else {
    const simple: Partial<Record<Action, () => void>> = {
      'rotate.right': () => pane.rotate(90),
      'rotate.left': () => pane.rotate(-90),
      'flip.horizontal': () => pane.flip('flipHorizontal'),
      'flip.vertical': () => pane.flip('flipVertical'),
      invert: () => pane.invert(),
      'zoom.in': () => pane.zoomBy(1.2),
      'zoom.out': () => pane.zoomBy(1 / 1.2),
      fit: () => pane.fit(),
      reset: () => pane.reset(),
      'window.auto': () => pane.autoWindow(),
      'window.file': () => pane.fileWindow(),
      'image.next': () => move(index + 1),
      'image.previous': () => move(index - 1),
      'image.next10': () => move(index + 10),
      'image.previous10': () => move(index - 10),
      'image.first': () => move(0),
      'image.last': () => move((stack?.frames.length ?? 1) - 1),
      'series.next': () => engine.nextStack(1),
      'series.previous': () => engine.nextStack(-1),
      'pane.next': () => engine.activate((pane.key + 1) % engine.panes.length),
      'pane.previous': () => engine.activate((pane.key + engine.panes.length - 1) % engine.panes.length),
      'cine.toggle': () => engine.toggleCine(),
      'cine.faster': () => engine.changeCine(1.25),
      'cine.slower': () => engine.changeCine(0.8),
      'key.toggle': () => engine.toggleKeyImage(),
      'key.next': () => engine.nextKeyImage(),
      'marks.toggle': () => engine.toggleMarks(),
      'overlay.toggle': () => engine.state.patch({ overlays: !engine.state.get().overlays }),
      'mpr.toggle': () => void engine.toggleMpr(),
      'sync.toggle': () => engine.toggleSync(),
      'layout.1': () => engine.chooseLayout(1, 1),
      'layout.2': () => engine.chooseLayout(1, 2),
      'layout.4': () => engine.chooseLayout(2, 2),
      'layout.protocol': () => engine.hang(engine.state.get().protocol ?? 'single'),
    };
    const run = simple[action];
    if (!run) return false;
    run();
  }
  return true;
}
