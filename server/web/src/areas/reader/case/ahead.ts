// Fetches the images of a study ahead. The viewer's code comes only now, when the page has nothing else to do.
let asked: string | null = null;

/** Begins to fetch a study by its UID. What cannot be fetched ahead is fetched when it is opened. */
export function fetchAhead(uid: string): void {
  if (asked === uid) return;
  asked = uid;
  const begin = () => {
    import('@/areas/viewer').then(
      ({ prefetchStudy, loadViewer }) => {
        void loadViewer().catch(() => undefined);
        prefetchStudy(uid);
      },
      () => {
        asked = null;
      },
    );
  };
  if ('requestIdleCallback' in window) window.requestIdleCallback(begin, { timeout: 3_000 });
  else setTimeout(begin, 500);
}
