// What other areas take from the viewer. Small: the viewer itself, with Cornerstone, is fetched when it is first shown.
import { lazy, Suspense } from 'react';

import { loadTexts } from '@/i18n';

import type { ViewerProps } from './types';

export { prefetchStudy } from './prefetch';
export { useViewerKeys, isTyping } from './keys';
export { keymaps, keymapNames, conflictsOf } from './keymaps';
export { emptyViewState, readViewState } from './state/viewState';
export type { Alignment, EcgMark, KeyChanges, KeyImage, KeymapName, Mark, PaneState, StudyRef, ViewerProps, ViewState } from './types';

let whole: Promise<typeof import('./ViewerRoot')> | null = null;

/** Fetches the viewer and its texts, once, so that it is there when it is first shown. */
export function loadViewer(): Promise<typeof import('./ViewerRoot')> {
  whole ??= Promise.all([import('./ViewerRoot'), loadTexts('viewer')]).then(
    ([loaded]) => loaded,
    (error: unknown) => {
      whole = null;
      throw error;
    },
  );
  return whole;
}

const Whole = lazy(loadViewer);
const Frames = lazy(() => Promise.all([import('./light/FrameViewer'), loadTexts('viewer')]).then(([loaded]) => loaded));

/** The viewer of readers: original pixels, measurements, priors. */
export function Viewer(props: ViewerProps) {
  return (
    <Suspense fallback={<div className="mrv-loading" role="status" />}>
      <Whole {...props} />
    </Suspense>
  );
}

/** The viewer of phones and weak machines: frames that the relay renders. */
export function FrameViewer(props: { studies: ViewerProps['studies'] }) {
  return (
    <Suspense fallback={<div className="mrv-loading" role="status" />}>
      <Frames {...props} />
    </Suspense>
  );
}
