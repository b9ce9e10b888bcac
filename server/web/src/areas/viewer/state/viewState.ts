// The state that is saved with a report: made empty, and read back from JSON of any age without trusting it.
import type { Alignment, EcgMark, KeyImage, Mark, PaneState, Point, ViewState } from '../types';

export function emptyViewState(): ViewState {
  return { version: 1, layout: { rows: 1, columns: 1 }, panes: [], marks: [], keyImages: [], alignments: [], ecg: [] };
}

type Raw = Record<string, unknown>;
const isRaw = (value: unknown): value is Raw => typeof value === 'object' && value !== null && !Array.isArray(value);
const string = (value: unknown, otherwise = ''): string => (typeof value === 'string' ? value : otherwise);
const finite = (value: unknown, otherwise: number): number => (typeof value === 'number' && Number.isFinite(value) ? value : otherwise);
const list = (value: unknown): Raw[] => (Array.isArray(value) ? value.filter(isRaw) : []);

function point(value: unknown): Point | null {
  if (!Array.isArray(value) || value.length !== 3 || !value.every((part) => typeof part === 'number' && Number.isFinite(part))) return null;
  return [value[0] as number, value[1] as number, value[2] as number];
}

function points(value: unknown): Point[] {
  return (Array.isArray(value) ? value : []).map(point).filter((found): found is Point => found !== null);
}

function markOf(raw: Raw): Mark | null {
  const at = points(raw['points']);
  const outline = points(raw['outline']);
  if (!string(raw['id']) || !string(raw['tool']) || (at.length === 0 && outline.length === 0)) return null;
  const mark: Mark = {
    id: string(raw['id']),
    tool: string(raw['tool']),
    frameOfReference: string(raw['frameOfReference']),
    sop: string(raw['sop']),
    frame: finite(raw['frame'], 1),
    series: string(raw['series']),
    study: string(raw['study']),
    points: at,
    visible: raw['visible'] !== false,
    locked: raw['locked'] === true,
  };
  const cut = raw['cut'];
  if (isRaw(cut) && (cut['axis'] === 'i' || cut['axis'] === 'j' || cut['axis'] === 'k')) mark.cut = { axis: cut['axis'], index: finite(cut['index'], 0) };
  if (outline.length > 0) mark.outline = outline;
  if (typeof raw['closed'] === 'boolean') mark.closed = raw['closed'];
  if (typeof raw['text'] === 'string') mark.text = raw['text'];
  if (typeof raw['label'] === 'string') mark.label = raw['label'];
  return mark;
}

function paneOf(raw: Raw): PaneState {
  const window = raw['window'];
  const pan = raw['pan'];
  return {
    stack: string(raw['stack']) || null,
    sop: string(raw['sop']) || null,
    frame: Math.max(1, finite(raw['frame'], 1)),
    window: isRaw(window) && finite(window['width'], 0) > 0 ? { centre: finite(window['centre'], 0), width: finite(window['width'], 1) } : null,
    invert: raw['invert'] === true,
    rotation: finite(raw['rotation'], 0),
    flipH: raw['flipH'] === true,
    flipV: raw['flipV'] === true,
    zoom: Math.min(64, Math.max(0.02, finite(raw['zoom'], 1))),
    pan: Array.isArray(pan) ? [finite(pan[0], 0), finite(pan[1], 0)] : [0, 0],
  };
}

const keyOf = (raw: Raw): KeyImage => ({
  study: string(raw['study']),
  series: string(raw['series']),
  sop: string(raw['sop']),
  frame: finite(raw['frame'], 1),
});

const alignmentOf = (raw: Raw): Alignment => ({ a: string(raw['a']), b: string(raw['b']), offset: finite(raw['offset'], 0) });

const kinds: readonly EcgMark['kind'][] = ['RR', 'PR', 'QRS', 'QT', 'free'];
const ecgOf = (raw: Raw): EcgMark => ({
  id: string(raw['id']),
  sop: string(raw['sop']),
  kind: kinds.find((kind) => kind === raw['kind']) ?? 'free',
  lead: string(raw['lead']),
  from: finite(raw['from'], 0),
  to: finite(raw['to'], 0),
});

/** Reads what was saved; `null` when it is nothing of ours or of a version after this one. */
export function readViewState(value: unknown): ViewState | null {
  if (!isRaw(value) || value['version'] !== 1) return null;
  const layout = isRaw(value['layout']) ? value['layout'] : {};
  const side = (given: unknown) => Math.min(4, Math.max(1, Math.round(finite(given, 1))));
  return {
    version: 1,
    layout: { rows: side(layout['rows']), columns: side(layout['columns']) },
    panes: list(value['panes']).slice(0, 16).map(paneOf),
    marks: list(value['marks']).map(markOf).filter((mark): mark is Mark => mark !== null),
    keyImages: list(value['keyImages']).map(keyOf).filter((key) => key.sop !== ''),
    alignments: list(value['alignments']).map(alignmentOf).filter((pair) => pair.a !== '' && pair.b !== ''),
    ecg: list(value['ecg']).map(ecgOf).filter((mark) => mark.id !== '' && mark.sop !== ''),
  };
}
