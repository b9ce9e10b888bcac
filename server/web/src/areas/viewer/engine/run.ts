// What each action does to the engine.
import type { Action } from '../actions';

import { chooseLayout, nextStack, toggleMpr } from './arrange';
import type { Engine } from './engine';
import { nextKeyImage, toggleKeyImage } from './keyImages';
import { presetOf } from './presets';
import type { ToolAction } from './tools';

/** Pictures per second of a stack that says nothing about it. */
const USUAL_RATE = 15;

/** Does what an action says; false for what the surface must do itself. */
export function runAction(engine: Engine, action: Action): boolean {
  const pane = engine.active;
  const { index, stack, cine } = pane.view.get();
  const move = (to: number) => pane.goTo(to, 'hand');
  const changeRate = (factor: number) => cine > 0 && engine.play(pane, Math.min(60, Math.max(1, cine * factor)));
  if (action.startsWith('tool.')) engine.chooseTool(action as ToolAction);
  else if (/^window\.\d$/.test(action)) chooseWindow(engine, Number(action.slice(7)));
  else {
    const simple: Partial<Record<Action, () => void>> = {
      'rotate.right': () => pane.rotate(90),
      'rotate.left': () => pane.rotate(-90),
      'flip.horizontal': () => pane.flip('flipHorizontal'),
      'flip.vertical': () => pane.flip('flipVertical'),
      invert: () => pane.invert(),
      'zoom.in': () => pane.zoomBy(1.2),
      'zoom.out': () => pane.zoomBy(1 / 1.2),
      fit: () => engine.fit(pane),
      reset: () => {
        pane.reset();
        engine.fit(pane);
      },
      'window.auto': () => pane.autoWindow(),
      'window.file': () => pane.fileWindow(),
      'image.next': () => move(index + 1),
      'image.previous': () => move(index - 1),
      'image.next10': () => move(index + 10),
      'image.previous10': () => move(index - 10),
      'image.first': () => move(0),
      'image.last': () => move((stack?.frames.length ?? 1) - 1),
      'series.next': () => nextStack(engine, 1),
      'series.previous': () => nextStack(engine, -1),
      'pane.next': () => engine.activate((pane.key + 1) % engine.panes.length),
      'pane.previous': () => engine.activate((pane.key + engine.panes.length - 1) % engine.panes.length),
      'cine.toggle': () => engine.play(pane, cine > 0 ? 0 : stack?.rate || USUAL_RATE),
      'cine.faster': () => changeRate(1.25),
      'cine.slower': () => changeRate(0.8),
      'key.toggle': () => toggleKeyImage(engine),
      'key.next': () => nextKeyImage(engine),
      'marks.toggle': () => engine.toggleMarks(),
      'overlay.toggle': () => engine.state.patch({ overlays: !engine.state.get().overlays }),
      'mpr.toggle': () => void toggleMpr(engine),
      'sync.toggle': () => engine.toggleSync(),
      'layout.1': () => chooseLayout(engine, 1, 1),
      'layout.2': () => chooseLayout(engine, 1, 2),
      'layout.4': () => chooseLayout(engine, 2, 2),
      'layout.protocol': () => engine.hang(engine.state.get().protocol ?? 'single'),
    };
    const run = simple[action];
    if (!run) return false;
    run();
  }
  return true;
}

/** The window of a key, where the image has one for it. */
function chooseWindow(engine: Engine, key: number): void {
  const pane = engine.active;
  const preset = presetOf(pane.view.get().stack?.modality ?? '', pane.shownFrame ?? undefined, key);
  if (preset) pane.setWindow(preset);
}
