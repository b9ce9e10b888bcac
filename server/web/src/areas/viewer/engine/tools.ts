// The tools that draw and measure: which there are, what they write beside a measurement, and what a mouse button or finger does.
import {
  AngleTool, ArrowAnnotateTool, EllipticalROITool, Enums, LabelTool, LengthTool, PanTool, PlanarFreehandROITool, ProbeTool,
  RectangleROITool, ToolGroupManager, WindowLevelTool, ZoomTool, type Types,
} from '@cornerstonejs/tools';

import { hasScale } from '../dicom/calibration';

import { measuredFrame, valueAt } from './measured';

export const toolClasses = [
  WindowLevelTool, ZoomTool, PanTool, LengthTool, AngleTool, RectangleROITool, EllipticalROITool, PlanarFreehandROITool, ProbeTool,
  ArrowAnnotateTool, LabelTool,
];

/** Our names of tools, and Cornerstone's. */
export const toolNames = {
  'tool.window': WindowLevelTool.toolName,
  'tool.zoom': ZoomTool.toolName,
  'tool.pan': PanTool.toolName,
  'tool.length': LengthTool.toolName,
  'tool.angle': AngleTool.toolName,
  'tool.rectangle': RectangleROITool.toolName,
  'tool.ellipse': EllipticalROITool.toolName,
  'tool.freehand': PlanarFreehandROITool.toolName,
  'tool.probe': ProbeTool.toolName,
  'tool.arrow': ArrowAnnotateTool.toolName,
  'tool.text': LabelTool.toolName,
} as const;

export type ToolAction = keyof typeof toolNames;
const marking: readonly ToolAction[] = [
  'tool.length', 'tool.angle', 'tool.rectangle', 'tool.ellipse', 'tool.freehand', 'tool.probe', 'tool.arrow', 'tool.text',
];

/** Texts that the tools write, in the language of the page. */
export interface Wording {
  area: string;
  mean: string;
  deviation: string;
  extent: string;
  perimeter: string;
  uncalibrated: string;
  detector: string;
}

let words: Wording = { area: '', mean: '', deviation: '', extent: '', perimeter: '', uncalibrated: '', detector: '' };
let askText: (before: string) => Promise<string | null> = async () => null;

export function setWording(next: Wording): void {
  words = next;
}

/** Who asks for the text of an arrow or a label. */
export function setTextAsker(ask: (before: string) => Promise<string | null>): void {
  askText = ask;
}

type Stats = Record<string, number | number[] | string | boolean | undefined>;
interface Data {
  cachedStats?: Record<string, Stats>;
}

const one = (value: unknown): number | null => {
  const plain = Array.isArray(value) ? (value[0] as unknown) : value;
  return typeof plain === 'number' && Number.isFinite(plain) ? plain : null;
};
const digits = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(1));

function statsOf(data: Data, target: string | string[]): { stats: Stats; target: string } | null {
  const all = data.cachedStats ?? {};
  const wanted = (Array.isArray(target) ? target : [target]).find((id) => all[id]);
  const stats = wanted === undefined ? undefined : all[wanted];
  return wanted !== undefined && stats ? { stats, target: wanted } : null;
}

/** What must be said about lengths on this image. */
function caution(target: string): string[] {
  const frame = measuredFrame(target);
  if (!frame) return [];
  if (frame.calibration === 'detector') return [words.detector];
  return hasScale(frame) ? [] : [words.uncalibrated];
}

const plainUnit = (unit: unknown) => String(unit ?? '').replace(/ US Region| ECG Region/, '');

function lengthLines(data: Data, target: string): string[] {
  const found = statsOf(data, target);
  const length = one(found?.stats['length']);
  if (!found || length === null) return [];
  return [`${length.toFixed(1)} ${plainUnit(found.stats['unit'])}`, ...caution(found.target)];
}

function angleLines(data: Data, target: string): string[] {
  const angle = one(statsOf(data, target)?.stats['angle']);
  return angle === null ? [] : [`${angle.toFixed(1)}°`];
}

function regionLines(data: Data, target: string | string[]): string[] {
  const found = statsOf(data, target);
  if (!found) return [];
  const { stats } = found;
  const unit = String(stats['modalityUnit'] ?? '').replace('raw', '');
  const [area, mean, deviation, least, most, perimeter] = ['area', 'mean', 'stdDev', 'min', 'max', 'perimeter'].map((key) => one(stats[key]));
  const lines: string[] = [];
  if (area !== null && area !== undefined) lines.push(`${words.area} ${digits(area)} ${plainUnit(stats['areaUnit'])}`);
  if (mean !== null && mean !== undefined) lines.push(`${words.mean} ${digits(mean)} ${unit}`.trim());
  if (deviation !== null && deviation !== undefined) lines.push(`${words.deviation} ${digits(deviation)}`);
  if (least !== null && least !== undefined && most !== null && most !== undefined) lines.push(`${words.extent} ${digits(least)} … ${digits(most)}`);
  if (perimeter !== null && perimeter !== undefined) lines.push(`${words.perimeter} ${digits(perimeter)} ${plainUnit(stats['unit'])}`);
  return lines.length > 0 ? [...lines, ...caution(found.target)] : [];
}

function probeLines(data: Data, target: string): string[] {
  const found = statsOf(data, target);
  if (!found) return [];
  const value = one(found.stats['value']);
  if (value === null) {
    // Cornerstone looks for the pixel in as many images as the stack has, and finds none: it is in this one.
    const [column, row] = Array.from((found.stats['index'] as ArrayLike<number> | undefined) ?? []);
    const values = column === undefined || row === undefined ? null : valueAt(found.target, column, row);
    if (!values) return [];
    const unit = measuredFrame(found.target)?.set['00080060']?.Value?.[0] === 'CT' ? ' HU' : '';
    return [values.map(digits).join(' / ') + unit];
  }
  const given = found.stats['modalityUnit'];
  const unit = String(Array.isArray(given) ? given[0] : (given ?? '')).replace('raw', '');
  return [`${digits(value)} ${unit}`.trim()];
}

const texts = {
  getTextCallback: (done: (text: string) => void) => void askText('').then((text) => done(text ?? '')),
  changeTextCallback: (data: { data?: { text?: string; label?: string } }, _event: unknown, done: (text: string) => void) => {
    const before = data.data?.text ?? data.data?.label ?? '';
    void askText(before).then((text) => done(text ?? before));
  },
};

const settings: Partial<Record<ToolAction, Record<string, unknown>>> = {
  'tool.length': { getTextLines: lengthLines },
  'tool.angle': { getTextLines: angleLines },
  'tool.rectangle': { getTextLines: regionLines },
  'tool.ellipse': { getTextLines: regionLines },
  'tool.freehand': { getTextLines: regionLines, calculateStats: true },
  'tool.probe': { getTextLines: probeLines },
  'tool.arrow': texts,
  'tool.text': texts,
};

const { MouseBindings } = Enums;

/** Makes the tool group of one viewer. */
export function makeTools(id: string): Types.IToolGroup {
  ToolGroupManager.destroyToolGroup(id);
  const group = ToolGroupManager.createToolGroup(id);
  if (!group) throw new Error('no tool group');
  for (const [action, name] of Object.entries(toolNames)) group.addTool(name, settings[action as ToolAction] ?? {});
  return group;
}

/** Left button or one finger does what is chosen; right zooms, middle moves, two fingers zoom and move. */
export function chooseTool(group: Types.IToolGroup, chosen: ToolAction, readOnly: boolean): void {
  const fixed: Partial<Record<ToolAction, Record<string, number>[]>> = {
    'tool.zoom': [{ mouseButton: MouseBindings.Secondary }, { numTouchPoints: 2 }],
    'tool.pan': [{ mouseButton: MouseBindings.Auxiliary }, { numTouchPoints: 3 }],
  };
  for (const action of Object.keys(toolNames) as ToolAction[]) {
    const name = toolNames[action];
    const bindings = [...(fixed[action] ?? [])];
    if (action === chosen) bindings.push({ mouseButton: MouseBindings.Primary });
    if (bindings.length > 0) group.setToolActive(name, { bindings });
    else if (marking.includes(action) && readOnly) group.setToolEnabled(name);
    else group.setToolPassive(name, { removeAllBindings: true });
  }
}

/** Whether a tool leaves a mark. */
export function marks(action: ToolAction): boolean {
  return marking.includes(action);
}

/** Shows or hides every mark. */
export function showMarks(group: Types.IToolGroup, shown: boolean, chosen: ToolAction, readOnly: boolean): void {
  if (shown) {
    chooseTool(group, chosen, readOnly);
    return;
  }
  for (const action of marking) group.setToolDisabled(toolNames[action]);
}
