// What other areas take from the viewer. Small: the viewer itself, with Cornerstone, is fetched when it is first shown.
import { lazy, Suspense } from 'react';

import { loadTexts } from '@/i18n';

import { loadViewer } from './load';
import type { ViewerProps } from './types';

export { loadViewer } from './load';
export { prefetchStudy, prefetchWords } from './prefetch';
export { useViewerKeys, isTyping } from './keys';
export { keymaps, keymapNames, conflictsOf } from './keymaps';
export { emptyViewState, readViewState } from './state/viewState';
export type { Alignment, EcgMark, KeyChanges, KeyImage, KeymapName, Mark, PaneState, StudyRef, ViewerProps, ViewState } from './types';

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
