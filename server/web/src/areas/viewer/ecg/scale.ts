// Paper: millimetres, pixels, time and voltage of an ECG, its rows, and the columns of pixels of a curve. Pure.
import type { Ecg, Lead } from './waveform';

/** How the paper runs. */
export interface Paper {
  /** Millimetres for a second: 12.5, 25 or 50. */
  speed: number;
  /** Millimetres for a millivolt: 5, 10 or 20. */
  gain: number;
  /** Screen pixels for a millimetre. */
  pixels: number;
}

export type LayoutName = '3x4+1' | '6x2' | '12x1';

export interface Strip {
  lead: Lead;
  /** Of the row, in seconds. */
  at: number;
  from: number;
  to: number;
}

export interface Row {
  strips: Strip[];
}

const ORDER: Record<LayoutName, string[][]> = {
  '3x4+1': [['I', 'aVR', 'V1', 'V4'], ['II', 'aVL', 'V2', 'V5'], ['III', 'aVF', 'V3', 'V6']],
  '6x2': [['I', 'V1'], ['II', 'V2'], ['III', 'V3'], ['aVR', 'V4'], ['aVL', 'V5'], ['aVF', 'V6']],
  '12x1': [],
};

/** The rows of a layout. Each column shows its own stretch of time, as on paper; the rhythm strip shows all of it. */
export function rowsOf(ecg: Ecg, layout: LayoutName): Row[] {
  const by = new Map(ecg.leads.map((lead) => [lead.name, lead]));
  if (layout === '12x1' || ecg.leads.length < 8) return ecg.leads.map((lead) => ({ strips: [{ lead, at: 0, from: 0, to: ecg.seconds }] }));
  const grid = ORDER[layout];
  const columns = grid[0]?.length ?? 1;
  const each = ecg.seconds / columns;
  const rows = grid.map((names) => ({
    strips: names.flatMap((name, column): Strip[] => {
      const lead = by.get(name);
      return lead ? [{ lead, at: column * each, from: column * each, to: (column + 1) * each }] : [];
    }),
  }));
  const rhythm = by.get('II') ?? ecg.leads[0];
  return layout === '3x4+1' && rhythm ? [...rows, { strips: [{ lead: rhythm, at: 0, from: 0, to: ecg.seconds }] }] : rows;
}

/** Least and most of a curve in each column of pixels, so that a pacing spike is never lost; null where there is nothing. */
export function columnsOf(samples: Float32Array, rate: number, from: number, to: number, width: number): ([number, number] | null)[] {
  const first = Math.max(0, Math.floor(from * rate));
  const end = Math.min(samples.length, Math.ceil(to * rate));
  const span = (to - from) * rate;
  return Array.from({ length: Math.max(0, Math.ceil(width)) }, (_, x) => {
    const start = Math.max(first, Math.floor(first + (x * span) / width));
    const stop = Math.min(end, Math.max(start + 1, Math.ceil(first + ((x + 1) * span) / width)));
    let least = Infinity;
    let most = -Infinity;
    for (let at = start; at < stop; at += 1) {
      const value = samples[at] as number;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    return least <= most ? [least, most] : null;
  });
}

export function secondsOf(pixels: number, paper: Paper): number {
  return pixels / (paper.speed * paper.pixels);
}

export function pixelsOf(seconds: number, paper: Paper): number {
  return seconds * paper.speed * paper.pixels;
}

/** Beats a minute for an interval between two beats. */
export function beats(seconds: number): number | null {
  return seconds > 0.05 ? 60 / seconds : null;
}

/** QT put right for the rate, in seconds. */
export function corrected(qt: number, rr: number, by: 'bazett' | 'fridericia'): number | null {
  if (!(qt > 0) || !(rr > 0)) return null;
  return by === 'bazett' ? qt / Math.sqrt(rr) : qt / Math.cbrt(rr);
}

/** Warnings about how it was recorded. */
export function cautionOf(ecg: Ecg): 'low' | 'refused' | null {
  return ecg.rate < 200 ? 'refused' : ecg.rate < 500 ? 'low' : null;
}
