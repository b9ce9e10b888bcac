// Fetches the viewer before it is shown. Small, so that whoever leads to it can begin at once.
import { loadTexts } from '@/i18n';

let whole: Promise<typeof import('./ViewerRoot')> | null = null;

/** The viewer and its texts, fetched once. */
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
