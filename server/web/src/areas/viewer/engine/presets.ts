// Windows: CT's by name and key, and those that a file brings itself.
import type { Frame } from '../dicom/model';
import { inFrame } from '../dicom/model';
import { sequence, texts } from '../dicom/json';

export interface Window {
  centre: number;
  width: number;
}

export interface Preset extends Window {
  name: string;
  /** The action `window.N` that chooses it. */
  key: number | null;
}

/** For CT only: Hounsfield units. */
export const ctPresets: readonly Preset[] = [
  { name: 'abdomen', width: 400, centre: 50, key: 1 },
  { name: 'lung', width: 1500, centre: -600, key: 2 },
  { name: 'bone', width: 2000, centre: 400, key: 3 },
  { name: 'brain', width: 80, centre: 40, key: 4 },
  { name: 'mediastinum', width: 400, centre: 40, key: 5 },
  { name: 'liver', width: 150, centre: 90, key: 6 },
  { name: 'subdural', width: 200, centre: 75, key: 7 },
  { name: 'stroke', width: 40, centre: 40, key: 8 },
  { name: 'spine', width: 250, centre: 50, key: 9 },
  { name: 'angio', width: 600, centre: 300, key: null },
];

export interface FileWindow extends Window {
  explanation: string;
}

/** The windows that stand in the file, in its order. */
export function fileWindows(frame: Frame): FileWindow[] {
  const centres = inFrame(frame, '00289132', '00281050');
  const widths = inFrame(frame, '00289132', '00281051');
  const said = frame.groups.map((groups) => sequence(groups, '00289132')[0]).find(Boolean) ?? frame.set;
  const explanations = texts(said, '00281055');
  return centres
    .map((centre, at) => ({ centre, width: widths[at] ?? widths[0] ?? 0, explanation: explanations[at] ?? '' }))
    .filter((window) => window.width > 0);
}

/** The window of key `key`: of CT's own list, else the file's. */
export function presetOf(modality: string, frame: Frame | undefined, key: number): Window | null {
  if (modality === 'CT') return ctPresets.find((preset) => preset.key === key) ?? null;
  return frame ? (fileWindows(frame)[key - 1] ?? null) : null;
}

/** Lower and upper end of a window, as DICOM's linear function has it. */
export function rangeOf(window: Window): { lower: number; upper: number } {
  const width = Math.max(1, window.width);
  return { lower: window.centre - 0.5 - (width - 1) / 2, upper: window.centre - 0.5 + (width - 1) / 2 };
}

export function windowOf(range: { lower: number; upper: number }): Window {
  return { centre: (range.lower + range.upper) / 2 + 0.5, width: Math.max(1, range.upper - range.lower + 1) };
}
