// Arranging panes: layouts, what was saved, what is aligned, planes beside their stack, the next series.
import type { Alignment, PaneState } from '../types';

import type { Engine, EngineState } from './engine';
import { canCut } from './mprMode';
import { align } from './sync';

/** A layout that somebody chose: what is shown stays, free panes get the next stacks. */
export function chooseLayout(engine: Engine, rows: number, columns: number): void {
  engine.touched = true;
  if (engine.mpr.state.get()) engine.closeMpr();
  engine.setLayout(rows, columns);
  const used = new Set(engine.panes.map((pane) => pane.view.get().stack?.id));
  const free = engine.hangable().filter((stack) => !used.has(stack.id) && stack.kind !== 'document');
  for (const pane of engine.panes) {
    if (pane.view.get().stack) continue;
    const next = free.shift();
    if (next) engine.put(pane.key, next);
  }
  engine.goTogether([{ panes: engine.panes.map((_, at) => at), share: ['scroll'] }]);
  engine.onChanged();
}

/** Puts back panes as they were saved; true when anything could be shown. */
export function restorePanes(engine: Engine, layout: EngineState['layout'], states: readonly PaneState[]): boolean {
  const stacks = engine.library.stacks();
  const found = states.map((state) => stacks.find((stack) => stack.id === state.stack) ?? null);
  if (!found.some(Boolean)) return false;
  engine.setLayout(layout.rows, layout.columns);
  found.forEach((stack, at) => {
    const state = states[at];
    if (!stack || !state) return engine.panes[at]?.show(null);
    const index = stack.frames.findIndex((frame) => frame.sop === state.sop && frame.frame === state.frame);
    engine.put(at, stack, index >= 0 ? { index, state } : { state });
  });
  return true;
}

/** Takes down that the pane in use and the others stand beside each other; again to forget it. */
export function alignHere(engine: Engine): void {
  const a = engine.active;
  const stackA = a.view.get().stack;
  if (!stackA) return;
  const made: Alignment[] = [];
  for (const pane of engine.panes) {
    const stackB = pane.view.get().stack;
    if (pane === a || !stackB || stackB.id === stackA.id) continue;
    made.push(align(stackA, a.view.get().index, stackB, pane.view.get().index));
  }
  const others = engine.state.get().alignments.filter((pair) => !made.some((one) => (one.a === pair.a && one.b === pair.b) || (one.a === pair.b && one.b === pair.a)));
  engine.goTogether([{ panes: engine.panes.map((_, at) => at), share: ['scroll', 'window'] }]);
  engine.state.patch({ alignments: [...others, ...made], sync: true });
  engine.onChanged();
}

/** Three panes in a row where there is width for it, else two by two: the pictures are about square. */
function gridOfCuts(stage: Element | null): EngineState['layout'] {
  const { clientWidth = 0, clientHeight = 1 } = stage ?? {};
  return stage && clientWidth / clientHeight < 1.6 ? { rows: 2, columns: 2 } : { rows: 1, columns: 3 };
}

/** Opens planes cut out of the stack in use, or closes them. */
export async function toggleMpr(engine: Engine): Promise<boolean> {
  if (engine.mpr.state.get()) {
    engine.closeMpr();
    return true;
  }
  const { stack, index } = engine.active.view.get();
  if (!stack || !canCut(stack)) return false;
  const made = await engine.mpr.open(stack, index);
  if (!made || made.length < 2) return false;
  engine.touched = true;
  engine.before = { layout: engine.state.get().layout, panes: engine.panes.map((pane) => pane.capture()) };
  const window = engine.active.view.get().window;
  const { rows, columns } = gridOfCuts(engine.viewportOf(0)?.element.closest('.mrv-stage') ?? null);
  engine.setLayout(rows, columns);
  [stack, ...made].forEach((one, at) => engine.put(at, one, { window, index: at === 0 ? index : Math.floor(one.frames.length / 2) }));
  engine.activate(0);
  return true;
}

/** The next or previous stack into the pane in use. */
export function nextStack(engine: Engine, by: 1 | -1): void {
  const prior = engine.active.view.get().stack?.prior ?? false;
  const stacks = engine.library.stacks().filter((stack) => stack.prior === prior && stack.kind !== 'document' && stack.kind !== 'unknown');
  const at = stacks.findIndex((stack) => stack.id === engine.active.view.get().stack?.id);
  const next = stacks[at + by];
  if (next) engine.choose(engine.active.key, next.id);
}
