// Puts the stacks of the studies into panes as a protocol says.
import { planeOf } from '../dicom/geometry';
import { protocols } from '../hanging';
import { fitting, hang, type Hung } from '../hanging/match';

import type { Engine } from './engine';
import { canCut } from './mprMode';

/** Hangs by the named protocol, else by the best that fits. */
export function hangStacks(engine: Engine, name: string | undefined): void {
  const stacks = engine.hangable();
  const wanted = name === undefined ? fitting(protocols, stacks)[0] : protocols.find((one) => one.id === name);
  if (!wanted || stacks.length === 0) return;
  if (name !== undefined) {
    engine.touched = true;
    if (engine.mpr.state.get()) engine.closeMpr();
  }
  const hung = trimmed(hang(wanted, stacks));
  const { rows, columns } = hung.length < wanted.panes.length ? gridFor(hung.length) : wanted.layout;
  // Two beside each other stand one above the other on a phone that is held upright.
  if (rows === 1 && columns === 2 && isUpright(engine)) engine.setLayout(2, 1);
  else engine.setLayout(rows, columns);
  engine.state.patch({ protocol: wanted.id });
  engine.goTogether(wanted.sync ?? []);
  hung.forEach(({ stack, rule }, at) => {
    if (rule?.cut && stack && name !== undefined) return;
    const pane = engine.panes[at];
    if (!stack || !pane) return pane?.show(null);
    if (pane.view.get().stack?.id !== stack.id) engine.put(at, stack, { window: rule?.window ?? null });
    if (rule?.cine && stack.kind === 'clip' && pane.view.get().cine === 0) engine.play(pane, stack.rate || 15);
  });
  const cut = hung.findIndex((one) => one.rule?.cut);
  if (name !== undefined && cut >= 0) void hangCuts(engine, hung);
}

/** Panes of a protocol that want planes which the study does not bring. */
async function hangCuts(engine: Engine, hung: readonly Hung[]): Promise<void> {
  const source = engine.panes[0]?.view.get().stack;
  const made = source && canCut(source) ? await engine.mpr.open(source, engine.panes[0]?.view.get().index ?? 0) : null;
  hung.forEach(({ stack, rule }, at) => {
    if (!rule?.cut) return;
    const plane = made?.find((one, place) => (place === 0 ? 'coronal' : 'sagittal') === rule.cut && one);
    const own = planeOf(stack?.frames[0]?.orientation ?? null) === rule.cut;
    const given = own ? stack : (plane ?? stack);
    if (given) engine.put(at, given);
  });
}

/** Whether the place for the panes is higher than it is wide, and narrow. */
function isUpright(engine: Engine): boolean {
  const stage = engine.viewportOf(0)?.element.closest('.mrv-stage');
  return !!stage && stage.clientWidth < 500 && stage.clientHeight > stage.clientWidth;
}

/** Without the empty panes at the end. */
function trimmed(hung: Hung[]): Hung[] {
  let count = hung.length;
  while (count > 1 && hung[count - 1]?.stack === null) count -= 1;
  return hung.slice(0, count);
}

/** The smallest grid for so many panes. */
function gridFor(count: number): { rows: number; columns: number } {
  const rows = count <= 2 ? 1 : count <= 8 ? 2 : 3;
  return { rows, columns: Math.ceil(count / rows) };
}
