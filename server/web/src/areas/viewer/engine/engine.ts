// The viewer without its surface: studies, panes, layout, what goes together, marks, and what a key or button does.
import { RenderingEngine, Enums, type StackViewport } from '@cornerstonejs/core';
import { ToolGroupManager, type Types as ToolTypes } from '@cornerstonejs/tools';

import type { Action } from '../actions';
import type { Frame, Stack } from '../dicom/model';
import { nearestIndex } from '../dicom/geometry';
import { protocols } from '../hanging';
import { fitting, type Protocol } from '../hanging/match';
import type { Alignment, KeyImage, PaneState, Point, StudyRef } from '../types';

import { restorePanes } from './arrange';
import { Cine } from './cine';
import { drawCross } from './cross';
import { Library } from './library';
import { hangStacks } from './hangStacks';
import { Mpr } from './mprMode';
import { Pane } from './pane';
import type { PaneHost } from './paneView';
import { ProgressBoard } from './progress';
import { runAction } from './run';
import { Scheduler } from './schedule';
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
  readOnly: boolean;
  protocol: string | null;
  keyImages: KeyImage[];
  alignments: Alignment[];
}

type Share = 'scroll' | 'window' | 'zoom';
let count = 0;

export class Engine implements PaneHost {
  readonly state: Signal<EngineState>;
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
  /** Whether the first arranging is over. */
  private hung = false;
  /** Studies made after the one that is read. */
  readonly later: ReadonlySet<string>;
  private readonly id: string;
  private readonly rendering: RenderingEngine;
  private readonly group: ToolTypes.IToolGroup;
  private readonly cine: Cine;
  private implied: Alignment[] = [];
  private groups: { panes: number[]; share: Share[] }[] = [];
  /** How the panes stood before planes were opened beside a stack. */
  before: { layout: EngineState['layout']; panes: PaneState[] } | null = null;
  private offDrawing: () => void;
  private readonly board = new ProgressBoard((stack) => this.scheduler.progress(stack));
  readonly progress = this.board.all;
  private resizes: ResizeObserver;

  constructor(
    private studies: readonly StudyRef[],
    readOnly: boolean,
  ) {
    startCornerstone();
    this.later = new Set(studies.filter((study) => study.later).map((study) => study.uid));
    count += 1;
    this.id = `medrelay-${count}`;
    this.rendering = new RenderingEngine(this.id);
    this.group = makeTools(this.id);
    const budget = imageBudget();
    this.scheduler = new Scheduler(budget, (stack, index) => this.arrived(stack, index), (stack) => this.board.tell(stack));
    this.state = new Signal<EngineState>({
      layout: { rows: 1, columns: 1 }, panes: 1, active: 0, tool: 'tool.window', overlays: true, marksShown: true, sync: true, readOnly, protocol: null, keyImages: [], alignments: [],
    });
    this.panes = [new Pane(0, this)];
    this.library = new Library(studies, (stacks, gone) => this.known(stacks, gone));
    this.mpr = new Mpr(() => this.panes, Math.max(budget / 2, 268_435_456), this.scheduler);
    this.cine = new Cine(() => this.panes, this.scheduler);
    chooseTool(this.group, 'tool.window', readOnly);
    this.offDrawing = drawing.follow(() => this.panes.forEach((pane) => pane.startOver()));
    this.resizes = new ResizeObserver(() => this.resized());
  }

  get readOnly(): boolean {
    return this.state.get().readOnly;
  }

  /** Somebody took the case, or gave it back: the images stay as they are. */
  setReadOnly(readOnly: boolean): void {
    this.state.patch({ readOnly });
    chooseTool(this.group, this.state.get().tool, readOnly);
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
    this.hung = true;
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
    this.board.stop();
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
    return fitting(protocols, this.hangable(), true);
  }

  /** What may be hung by itself: the study that is read and those before it. */
  hangable(): Stack[] {
    return this.library.stacks().filter((stack) => !this.later.has(stack.study));
  }

  /** Hangs by protocol; without a name by the best that fits, unless somebody has arranged things. */
  hang(name?: string): void {
    if (name === undefined && this.touched) return;
    hangStacks(this, name);
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
    // A series of stills and clips has come apart: another protocol may fit, and what is new is fetched, too.
    if (this.hung && (gone.length > 0 || stacks.length > 1)) this.hang();
    if (this.hung) this.idle();
    this.onKnown();
    this.wishes();
  }

  /** Everything of the study that is read that has pixels. */
  private pictures(): Stack[] {
    return this.library.stacks().filter((stack) => !stack.prior && (stack.kind === 'images' || stack.kind === 'clip'));
  }

  private idle(): void {
    this.scheduler.setIdle(this.pictures().map((stack) => stack.id));
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
      const together = this.before ? this.panes.filter((one) => one !== pane) : this.panesWith(pane, 'window');
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

  /** Fits a pane, and those that zoom with it. */
  fit(pane: Pane): void {
    [pane, ...(this.state.get().sync ? this.panesWith(pane, 'zoom') : [])].forEach((one) => one.fit());
  }

  shown(frame: Frame): void {
    if (this.seen.has(frame.imageId) || frame.imageId.startsWith('mrcut:')) return;
    this.seen.add(frame.imageId);
    const current = this.pictures();
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

  // --- planes

  closeMpr(): void {
    const before = this.before;
    this.mpr.close();
    this.panes.forEach((pane) => pane.view.patch({ cross: null }));
    this.before = null;
    if (before) restorePanes(this, before.layout, before.panes);
    else this.panes.filter((pane) => pane.view.get().stack?.id.includes('#')).forEach((pane) => pane.show(null));
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

  // --- what is aligned, tools, cine

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

  /** Which panes scroll, window and zoom together. */
  goTogether(groups: { panes: number[]; share: Share[] }[]): void {
    this.groups = groups;
  }

  play(pane: Pane, rate: number): void {
    this.cine.set(pane, rate);
  }

  /** Does what a key says; false for what the surface must do itself. */
  run(action: Action): boolean {
    return runAction(this, action);
  }
}
