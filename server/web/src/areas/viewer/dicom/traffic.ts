// Who may use the line: what somebody looks at goes first; prefetching waits until nothing of that is under way. Measures the line, too.

let busy = 0;
const waiting = new Set<() => void>();
const interrupts = new Set<() => void>();
const rates: number[] = [];

/** Marks something in the foreground; the answer ends it. Prefetching is interrupted. */
export function inForeground(): () => void {
  busy += 1;
  interrupts.forEach((call) => call());
  let over = false;
  return () => {
    if (over) return;
    over = true;
    busy -= 1;
    if (busy > 0) return;
    for (const call of [...waiting]) call();
    waiting.clear();
  };
}

/** Resolves when nothing in the foreground has been under way for a moment. */
export async function quiet(signal: AbortSignal): Promise<void> {
  for (;;) {
    if (signal.aborted) throw signal.reason;
    if (busy > 0) await new Promise<void>((resolve) => waiting.add(resolve));
    await new Promise((resolve) => setTimeout(resolve, 120));
    if (busy === 0) return;
  }
}

/** Calls back when something in the foreground begins. */
export function onInterrupt(call: () => void): () => void {
  interrupts.add(call);
  return () => interrupts.delete(call);
}

/** Takes down how long some bytes took. */
export function measured(bytes: number, milliseconds: number): void {
  if (bytes < 4_096) return;
  rates.push(bytes / Math.max(1, milliseconds));
  if (rates.length > 12) rates.shift();
}

/** Bytes a millisecond of one request, the middle of the last ones; null when nothing is known. */
export function lineRate(): number | null {
  if (rates.length < 2) return null;
  return [...rates].sort((a, b) => a - b)[Math.floor(rates.length / 2)] ?? null;
}

type Form = 'stored' | 'packed';
const took: Record<Form, number[]> = { stored: [], packed: [] };
/** Milliseconds for a frame that nobody would feel. */
const QUICK = 40;
let asked = 0;

const middle = (list: readonly number[]): number => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0;

/** Takes down how long a frame took in a form, until it could be decoded. */
export function formTook(form: Form, milliseconds: number): void {
  took[form].push(milliseconds);
  if (took[form].length > 8) took[form].shift();
}

/**
 * Native pixels as they are, or as lossless JPEG-LS (40 % of the bytes)? Whichever has been quicker here: it depends on the line and
 * on how busy the relay is. The other form is tried again now and then.
 */
export function nextForm(): Form {
  asked += 1;
  const near = /^(localhost|127\.|\[::1\])/.test(location.hostname);
  if (took.stored.length === 0 && took.packed.length === 0) return near ? 'stored' : 'packed';
  const better: Form =
    took.packed.length === 0 ? 'stored' : took.stored.length === 0 ? 'packed' : middle(took.packed) <= middle(took.stored) ? 'packed' : 'stored';
  if (middle(took[better]) <= QUICK || asked % 16 !== 0) return better;
  return better === 'packed' ? 'stored' : 'packed';
}

/** Whether waiting requests would be felt: below some 8 Mbit/s. */
export function isSlow(): boolean {
  const rate = lineRate();
  return rate !== null && rate < 1_000;
}
