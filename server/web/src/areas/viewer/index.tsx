// What other areas take from the viewer. Small: the viewer itself, with Cornerstone, is fetched when it is first shown.
import { lazy, Suspense } from 'react';

import type { ViewerProps } from './types';

export { prefetchStudy } from './prefetch';
export { useViewerKeys, isTyping } from './keys';
export { keymaps, keymapNames, conflictsOf } from './keymaps';
export { emptyViewState, readViewState } from './state/viewState';
export type { Alignment, EcgMark, KeyChanges, KeyImage, KeymapName, Mark, PaneState, StudyRef, ViewerProps, ViewState } from './types';

const Whole = lazy(() => import('./ViewerRoot'));
const Frames = lazy(() => import('./light/FrameViewer'));

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
