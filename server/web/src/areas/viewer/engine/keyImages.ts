// Key images: choosing them, and going from one to the next.
import type { KeyImage } from '../types';

import type { Engine } from './engine';

/** Puts the image on the screen among the key images, or takes it out. */
export function toggleKeyImage(engine: Engine): void {
  const frame = engine.active.shownFrame;
  if (!frame || frame.imageId.startsWith('mrcut:') || engine.readOnly) return;
  const same = (key: KeyImage) => key.sop === frame.sop && key.frame === frame.frame;
  const { keyImages } = engine.state.get();
  const next = keyImages.some(same)
    ? keyImages.filter((key) => !same(key))
    : [...keyImages, { study: frame.study, series: frame.series, sop: frame.sop, frame: frame.frame }];
  engine.state.patch({ keyImages: next });
  engine.onChanged();
}

/** Goes to the next key image after the one on the screen. */
export function nextKeyImage(engine: Engine): boolean {
  const { keyImages } = engine.state.get();
  const frame = engine.active.frame;
  const at = keyImages.findIndex((key) => key.sop === frame?.sop && key.frame === frame?.frame);
  const next = keyImages[(at + 1) % Math.max(1, keyImages.length)];
  return next ? showImage(engine, next) : false;
}

/** Goes to an image, wherever it is among the stacks. */
export function showImage(engine: Engine, key: { series: string; sop: string; frame: number }): boolean {
  for (const stack of engine.library.stacks()) {
    const index = stack.frames.findIndex((frame) => frame.sop === key.sop && frame.frame === key.frame);
    if (index < 0) continue;
    if (engine.active.view.get().stack?.id === stack.id) engine.active.goTo(index, 'hand');
    else engine.put(engine.active.key, stack, { index });
    return true;
  }
  return false;
}
