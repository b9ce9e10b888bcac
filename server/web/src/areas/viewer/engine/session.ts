// What is saved of a reading: taken together when something changes, put back when it comes, with undoing.
import { eventTarget } from '@cornerstonejs/core';
import { annotation as annotations, Enums } from '@cornerstonejs/tools';

import { readViewState } from '../state/viewState';
import type { EcgMark, KeyImage, Mark, ViewState } from '../types';

import { restorePanes } from './arrange';
import type { Engine } from './engine';
import { allMarks, putMarks, removeSelected } from './marks';

const { ANNOTATION_ADDED, ANNOTATION_COMPLETED, ANNOTATION_MODIFIED, ANNOTATION_REMOVED } = Enums.Events;
const EVENTS = [ANNOTATION_ADDED, ANNOTATION_COMPLETED, ANNOTATION_MODIFIED, ANNOTATION_REMOVED];
const SETTLED = 350;
const STEPS = 100;

interface Step {
  marks: Mark[];
  keyImages: KeyImage[];
}

export class Session {
  ecg: EcgMark[] = [];
  /** Marks on images that are not known yet: kept, so that saving does not lose them. */
  private left: Mark[] = [];
  private steps: Step[] = [{ marks: [], keyImages: [] }];
  private at = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private putting = false;
  private told = '';
  private saved: ViewState | null = null;
  private arranged = false;

  constructor(
    private engine: Engine,
    private onState: (state: ViewState) => void,
  ) {
    EVENTS.forEach((event) => eventTarget.addEventListener(event, this.changed));
    engine.onChanged = this.changed;
    engine.onKnown = () => this.place();
  }

  stop(): void {
    if (this.timer) this.settle();
    EVENTS.forEach((event) => eventTarget.removeEventListener(event, this.changed));
    this.putting = true;
    annotations.state.removeAllAnnotations();
  }

  /** Takes what was saved; called again when another window has changed it. */
  take(value: unknown): void {
    const state = readViewState(value);
    if (!state || JSON.stringify(state) === this.told) return;
    this.saved = state;
    this.ecg = state.ecg;
    this.left = [];
    this.putting = true;
    this.left = putMarks(state.marks, this.engine.viewportIds());
    this.putting = false;
    this.engine.state.patch({ keyImages: state.keyImages, alignments: state.alignments });
    this.steps = [{ marks: state.marks, keyImages: state.keyImages }];
    this.at = 0;
    this.told = JSON.stringify(state);
    this.arrange();
  }

  setEcg(marks: EcgMark[]): void {
    this.ecg = marks;
    this.changed();
  }

  /** Images became known: marks that waited for them are put on them, and the layout of before comes back. */
  private place(): void {
    if (this.left.length > 0) {
      const wanted = [...allMarks(), ...this.left];
      this.putting = true;
      this.left = putMarks(wanted, this.engine.viewportIds());
      this.putting = false;
    }
    this.arrange();
  }

  private arrange(): void {
    if (this.arranged || this.engine.touched || !this.saved || this.saved.panes.length === 0) return;
    const stacks = this.engine.library.stacks();
    const wanted = this.saved.panes.filter((pane) => pane.stack !== null);
    // All of what was shown must be there again, else the protocol's layout stays until it is.
    if (wanted.length === 0 || !wanted.every((pane) => stacks.some((stack) => stack.id === pane.stack && stack.known))) return;
    this.arranged = true;
    this.engine.touched = restorePanes(this.engine, this.saved.layout, this.saved.panes);
  }

  /** Everything as it is now. */
  state(): ViewState {
    const { layout, keyImages, alignments } = this.engine.state.get();
    const inCuts = this.engine.mpr.state.get() !== null;
    const panes = inCuts && this.saved ? this.saved.panes : this.engine.panes.map((pane) => pane.capture());
    return {
      version: 1,
      layout: inCuts && this.saved ? this.saved.layout : layout,
      panes: panes.filter((pane) => !pane.stack?.includes('#')),
      marks: [...allMarks(), ...this.left],
      keyImages,
      alignments,
      ecg: this.ecg,
    };
  }

  private readonly changed = (): void => {
    if (this.putting || this.engine.readOnly) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.settle(), SETTLED);
  };

  private settle(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const state = this.state();
    const step: Step = { marks: state.marks, keyImages: state.keyImages };
    if (JSON.stringify(step) !== JSON.stringify(this.steps[this.at])) {
      this.steps = [...this.steps.slice(0, this.at + 1), step].slice(-STEPS);
      this.at = this.steps.length - 1;
    }
    this.tell(state);
  }

  private tell(state: ViewState): void {
    const text = JSON.stringify(state);
    if (text === this.told) return;
    this.told = text;
    this.saved = state;
    this.onState(state);
  }

  undo(): boolean {
    if (this.timer) this.settle();
    return this.go(this.at - 1);
  }

  redo(): boolean {
    return this.go(this.at + 1);
  }

  removeSelected(): boolean {
    return !this.engine.readOnly && removeSelected();
  }

  private go(to: number): boolean {
    const step = this.steps[to];
    if (!step || this.engine.readOnly) return false;
    this.at = to;
    this.putting = true;
    this.left = putMarks(step.marks, this.engine.viewportIds());
    this.putting = false;
    this.engine.state.patch({ keyImages: step.keyImages });
    this.tell(this.state());
    return true;
  }
}
