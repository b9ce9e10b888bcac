// Fetching the next study ahead: metadata and the first images of its best series, at low priority, only while nobody waits for the line.
import { hang, fitting } from './hanging/match';
import { protocols } from './hanging';
import { countOf, metadataOf, seriesOf } from './dicom/kept';
import { provisional, stacksOf } from './dicom/model';
import { askFrame } from './dicom/web';
import { onInterrupt, quiet } from './dicom/traffic';

const FRAMES = 24;
const done = new Set<string>();
let running: AbortController | null = null;

/** Begins to fetch a study ahead; only the one asked for last goes on. */
export function prefetchStudy(uid: string): void {
  if (done.has(uid)) return;
  running?.abort(new DOMException('another study', 'AbortError'));
  const own = new AbortController();
  running = own;
  ahead(uid, own.signal).then(
    () => done.add(uid),
    () => undefined,
  );
}

/** One frame into the browser's cache; given up when somebody needs the line. */
async function fetchAhead(path: string, set: Parameters<typeof askFrame>[1], signal: AbortSignal): Promise<void> {
  for (;;) {
    await quiet(signal);
    const one = new AbortController();
    const off = onInterrupt(() => one.abort());
    try {
      await askFrame(path, set, AbortSignal.any([signal, one.signal]), true);
      return;
    } catch (error) {
      if (!one.signal.aborted || signal.aborted) throw error;
    } finally {
      off();
    }
  }
}

/** Begins to ask for what is known of a study that is about to be shown, while its viewer is still on the way. */
export function prefetchWords(uid: string): void {
  const ask = async () => {
    const [first] = await wanted(uid, false);
    if (first) await metadataOf(uid, first.series, first.count);
  };
  // What fails here is asked for again, and told, by the viewer.
  ask().catch(() => undefined);
}

/** The series that the protocol for a study hangs, with how many images each has. */
async function wanted(uid: string, low: boolean): Promise<{ series: string; count: number }[]> {
  const sets = await seriesOf(uid, false, low);
  const stacks = sets.map((set) => provisional(uid, false, set));
  const protocol = fitting(protocols, stacks)[0];
  const hung = protocol ? hang(protocol, stacks).flatMap((one) => (one.stack ? [one.stack] : [])) : stacks.slice(0, 1);
  return hung.slice(0, 4).map(({ series }) => {
    const own = sets[stacks.findIndex((stack) => stack.series === series)];
    return { series, count: own ? countOf(own) : 0 };
  });
}

async function ahead(uid: string, signal: AbortSignal): Promise<void> {
  await quiet(signal);
  for (const { series, count } of await wanted(uid, true)) {
    await quiet(signal);
    const known = stacksOf(uid, false, await metadataOf(uid, series, count, true));
    const frames = known.flatMap((one) => one.frames);
    const middle = Math.floor((frames.length - 1) / 2);
    const near = frames.map((frame, at) => ({ frame, far: Math.abs(at - middle) })).sort((a, b) => a.far - b.far).slice(0, FRAMES);
    for (const { frame } of near) await fetchAhead(frame.imageId.slice('medrelay:'.length), frame.set, signal);
  }
}
