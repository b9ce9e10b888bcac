// How an image is turned, flipped, enlarged and moved: read from a viewport and put back, the same with graphics hardware and CPU.
import type { StackViewport } from '@cornerstonejs/core';

import type { PaneState } from '../types';

/** How much larger than fitted, and moved by how many pixels of the fitted image. `whole` is Cornerstone's zoom of the fitted image. */
export function zoomed(viewport: StackViewport | null, whole: number, fitted: boolean): Pick<PaneState, 'zoom' | 'pan'> {
  if (!viewport || fitted) return { zoom: 1, pan: [0, 0] };
  const zoom = viewport.getZoom() / whole;
  const [x, y] = viewport.getPan();
  return { zoom, pan: [x / zoom, y / zoom] };
}

/** Puts a state onto an image that is fitted and upright. */
export function turn(viewport: StackViewport, state: Partial<PaneState>, whole: number): void {
  if (state.invert !== undefined && state.invert !== (viewport.getProperties().invert === true)) viewport.setProperties({ invert: state.invert });
  if (state.flipH) viewport.setCamera({ flipHorizontal: true });
  if (state.flipV) viewport.setCamera({ flipVertical: true });
  if (state.rotation) viewport.setViewPresentation({ rotation: state.rotation });
  const { zoom = 1, pan = [0, 0] } = state;
  if (zoom !== 1) viewport.setZoom(zoom * whole);
  if (pan[0] !== 0 || pan[1] !== 0) viewport.setPan([pan[0] * zoom, pan[1] * zoom]);
}
