// What other areas take from the viewer. Small: the viewer itself, with Cornerstone, is fetched when it is first shown.
import { useEffect, useState, type ComponentType } from 'react';

import { loadTexts } from '@/i18n';

import { loadViewer } from './load';
import type { ViewerProps } from './types';

export { loadViewer } from './load';
export { prefetchStudy, prefetchWords } from './prefetch';
export { useViewerKeys, isTyping } from './keys';
export { keymaps, keymapNames, conflictsOf } from './keymaps';
export { emptyViewState, readViewState } from './state/viewState';
export type { Alignment, EcgMark, KeyChanges, KeyImage, KeymapName, Mark, PaneState, StudyRef, ViewerProps, ViewState } from './types';

const loadFrames = () => Promise.all([import('./light/FrameViewer'), loadTexts('viewer')]).then(([loaded]) => loaded);

/**
 * Shows a part of the viewer the moment it is there. Not by `lazy`: React keeps what stands in for a part for 300 ms, and the first image
 * would wait for that. What cannot be fetched is thrown, and fetched anew when it is shown again.
 */
function arriving<P extends object>(load: () => Promise<{ default: ComponentType<P> }>): ComponentType<P> {
  let here: ComponentType<P> | null = null;
  return function Arriving(props: P) {
    const [Part, setPart] = useState(() => here);
    const [failed, setFailed] = useState<unknown>(null);
    useEffect(() => {
      if (Part) return undefined;
      let gone = false;
      load().then(
        (loaded) => {
          here = loaded.default;
          if (!gone) setPart(() => loaded.default);
        },
        (error: unknown) => !gone && setFailed(error),
      );
      return () => {
        gone = true;
      };
    }, [Part]);
    if (failed !== null) throw failed;
    return Part ? <Part {...props} /> : <div className="mrv-loading" role="status" />;
  };
}

/** The viewer of readers: original pixels, measurements, priors. */
export const Viewer = arriving<ViewerProps>(loadViewer);

/** The viewer of phones and weak machines: frames that the relay renders. */
export const FrameViewer = arriving<{ studies: ViewerProps['studies'] }>(loadFrames);
