// What differs between two texts: by characters where words are not set apart (Chinese), by words and numbers elsewhere.

export interface Piece {
  kind: 'same' | 'gone' | 'new';
  text: string;
}

// Words and numbers (12.5, mm2) stay whole; everything else is a piece of its own, whole characters also beyond the first plane.
const TOKENS = /\d+(?:[.,]\d+)*|[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}]+\d*|\n|[^\S\n]+|[\s\S]/gu;

/** The tokens that are compared. */
export function tokens(text: string): string[] {
  return text.replaceAll('\r\n', '\n').match(TOKENS) ?? [];
}

/** Beyond this many differences two texts have nothing in common that is worth showing. */
const MOST = 4_000;

/** The way through the grid of both (Myers, O(ND)); `null` when there are too many differences. */
function trace(a: readonly string[], b: readonly string[]): Int32Array[] | null {
  const size = a.length + b.length;
  const most = Math.min(size, MOST);
  const reach = new Int32Array(2 * most + 3);
  const middle = most + 1;
  const steps: Int32Array[] = [];
  for (let d = 0; d <= most; d += 1) {
    steps.push(reach.slice(middle - d - 1, middle + d + 2));
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && (reach[middle + k - 1] ?? 0) < (reach[middle + k + 1] ?? 0));
      let x = down ? (reach[middle + k + 1] ?? 0) : (reach[middle + k - 1] ?? 0) + 1;
      let y = x - k;
      while (x < a.length && y < b.length && a[x] === b[y]) {
        x += 1;
        y += 1;
      }
      reach[middle + k] = x;
      if (x >= a.length && y >= b.length) return steps;
    }
  }
  return null;
}

function walk(a: readonly string[], b: readonly string[], steps: readonly Int32Array[]): Piece[] {
  const pieces: Piece[] = [];
  let x = a.length;
  let y = b.length;
  for (let d = steps.length - 1; d >= 0; d -= 1) {
    const reach = steps[d] as Int32Array;
    const at = (k: number) => reach[k + d + 1] ?? 0;
    const k = x - y;
    const down = k === -d || (k !== d && at(k - 1) < at(k + 1));
    const fromK = down ? k + 1 : k - 1;
    const fromX = d === 0 ? 0 : at(fromK);
    const fromY = d === 0 ? 0 : fromX - fromK;
    while (x > fromX && y > fromY) {
      x -= 1;
      y -= 1;
      pieces.push({ kind: 'same', text: a[x] as string });
    }
    if (d === 0) break;
    if (down) pieces.push({ kind: 'new', text: b[fromY] as string });
    else pieces.push({ kind: 'gone', text: a[fromX] as string });
    x = fromX;
    y = fromY;
  }
  return pieces.reverse();
}

/** Joins neighbours of one kind; between two equal stretches what is gone stands before what is new. */
function joined(pieces: readonly Piece[]): Piece[] {
  const all: Piece[] = [];
  let gone = '';
  let fresh = '';
  const flush = () => {
    if (gone !== '') all.push({ kind: 'gone', text: gone });
    if (fresh !== '') all.push({ kind: 'new', text: fresh });
    gone = '';
    fresh = '';
  };
  for (const piece of pieces) {
    if (piece.kind === 'gone') gone += piece.text;
    else if (piece.kind === 'new') fresh += piece.text;
    else {
      flush();
      const last = all.at(-1);
      if (last?.kind === 'same') last.text += piece.text;
      else all.push({ ...piece });
    }
  }
  flush();
  return all;
}

/** The way from one text to the other: leaving out what is new gives the first, leaving out what is gone the second. */
export function differences(before: string, after: string): Piece[] {
  const a = tokens(before);
  const b = tokens(after);
  let front = 0;
  while (front < a.length && front < b.length && a[front] === b[front]) front += 1;
  let back = 0;
  while (back < a.length - front && back < b.length - front && a[a.length - 1 - back] === b[b.length - 1 - back]) back += 1;
  const ours = a.slice(front, a.length - back);
  const theirs = b.slice(front, b.length - back);
  const steps = ours.length === 0 || theirs.length === 0 ? null : trace(ours, theirs);
  const middle: Piece[] = steps
    ? walk(ours, theirs, steps)
    : [...ours.map((text): Piece => ({ kind: 'gone', text })), ...theirs.map((text): Piece => ({ kind: 'new', text }))];
  const same = (parts: string[]): Piece[] => parts.map((text) => ({ kind: 'same', text }));
  return joined([...same(a.slice(0, front)), ...middle, ...same(a.slice(a.length - back))]);
}
