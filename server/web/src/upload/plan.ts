// Where the lines of pixels are in a data set, and how it is cut into the segments of a pack (PROTOCOL 10). A guess by its header:
// whatever bytes follow it are packed and come back.
import { PIECE_BYTES } from './codes';
import { GREY, imageOf, lineBytes, type Layout, PAIRS, PIXELS, PLANES } from './samples';

/** What the header says about uncompressed pixels; `start` is the offset of their value in the data set. */
export interface PixelFacts {
  start: number;
  length: number;
  rows: number;
  columns: number;
  bitsAllocated: number;
  samples: number;
  planar: boolean;
  photometric: string;
  signed: boolean;
  bigEndian: boolean;
}

/** The value of an uncompressed Pixel Data element that JPEG-LS may code. */
export interface Plan {
  start: number;
  length: number;
  rows: number;
  layout: Layout;
  signed: boolean;
}

/** The next piece of a data set: bytes at most, and what it is if it is as long. */
export interface Cut {
  bytes: number;
  lines: number;
}

/** Frames smaller than this are coded together, so that the coder has something to learn from. */
const STACK_BYTES = 256 << 10;
/** Colour frames by plane smaller than this are not coded one by one. */
const LEAST_PLANES_BYTES = 4 << 10;

/** Plans the pack; null where nothing is to be coded as JPEG-LS. */
export function planOf(facts: PixelFacts | null): Plan | null {
  if (!facts || (facts.bitsAllocated !== 8 && facts.bitsAllocated !== 16)) return null;
  const wide = facts.bitsAllocated === 16;
  const shared = facts.photometric.startsWith('YBR_') && facts.photometric.endsWith('_422');
  const layout: Layout = { columns: facts.columns, arrangement: GREY, wide, bigEndian: wide && facts.bigEndian, differences: false };
  if (facts.samples === 3) {
    if (shared && facts.columns % 2 === 0) {
      layout.arrangement = PAIRS;
      layout.columns = facts.columns / 2;
    } else {
      layout.arrangement = facts.planar ? PLANES : PIXELS;
      layout.differences = facts.photometric === 'RGB';
    }
  } else if (facts.samples !== 1) {
    return null;
  }
  const line = imageOf(layout, 1);
  if (facts.rows === 0 || !line || line.width === 0) return null;
  const plan: Plan = { start: facts.start, length: facts.length, rows: facts.rows, layout, signed: facts.signed };
  const frame = frameBytes(plan);
  const whole = imageOf(layout, facts.rows) !== null && frame >= LEAST_PLANES_BYTES && frame <= PIECE_BYTES;
  if (layout.arrangement === PLANES && !whole) {
    layout.arrangement = GREY;
    layout.differences = false;
  }
  return plan;
}

/** The piece that begins at `offset`, which is 0 or the end of the piece before. */
export function cutAt(plan: Plan | null, offset: number): Cut {
  if (!plan) return { bytes: PIECE_BYTES, lines: 0 };
  if (offset < plan.start) return { bytes: Math.min(PIECE_BYTES, plan.start - offset), lines: 0 };
  const lines = linesAt(plan, offset - plan.start);
  return lines === 0 ? { bytes: PIECE_BYTES, lines: 0 } : { bytes: lines * lineBytes(plan.layout), lines };
}

/** Lines in the piece that begins so many bytes into the value; 0 when no whole line is left. */
function linesAt(plan: Plan, inside: number): number {
  const { rows, layout } = plan;
  const line = lineBytes(layout);
  const at = Math.floor(inside / line);
  const left = Math.max(0, Math.floor(plan.length / line) - at);
  let lines: number;
  if (layout.arrangement === PLANES) {
    lines = left < rows ? 0 : rows;
  } else if (frameBytes(plan) > PIECE_BYTES) {
    const strips = Math.ceil(frameBytes(plan) / PIECE_BYTES);
    lines = Math.min(Math.ceil(rows / strips), Math.floor(PIECE_BYTES / line), rows - (at % rows), left);
  } else {
    const group = rows * Math.max(1, Math.floor(STACK_BYTES / frameBytes(plan)));
    lines = Math.min(group - (at % group), left);
  }
  return Math.min(lines, layout.arrangement === PIXELS ? 0xffff / 3 : 0xffff);
}

function frameBytes(plan: Plan): number {
  return lineBytes(plan.layout) * plan.rows;
}
