// 12-lead ECG from a DICOM waveform: leads by their codes, samples in millivolts, what is missing derived. Pure.
import { inlineBytes, number, sequence, text, type Attributes } from '../dicom/json';

/** Leads in the usual order. */
export const LEADS = ['I', 'II', 'III', 'aVR', 'aVL', 'aVF', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'] as const;
export type LeadName = (typeof LEADS)[number] | string;

export interface Lead {
  name: LeadName;
  /** Millivolts; NaN where the device had nothing. */
  samples: Float32Array;
  derived: boolean;
  low: number | null;
  high: number | null;
  notch: number | null;
}

export interface Ecg {
  leads: Lead[];
  rate: number;
  seconds: number;
  label: string;
  /** Notes of the device: texts and measured values. */
  notes: string[];
}

/** MDC codes of leads (CID 3001); neither order nor meaning in words is relied on. */
const CODES: Record<string, LeadName> = {
  '2:1': 'I', '2:2': 'II', '2:61': 'III', '2:62': 'aVR', '2:63': 'aVL', '2:64': 'aVF', '2:3': 'V1', '2:4': 'V2', '2:5': 'V3', '2:6': 'V4',
  '2:7': 'V5', '2:8': 'V6', '2:9': 'V7', '2:66': 'V8', '2:67': 'V9', '2:11': 'V3R', '2:12': 'V4R', '2:13': 'V5R', '2:14': 'V6R', '2:15': 'V7R',
  MDC_ECG_LEAD_I: 'I', MDC_ECG_LEAD_II: 'II', MDC_ECG_LEAD_III: 'III', MDC_ECG_LEAD_AVR: 'aVR', MDC_ECG_LEAD_AVL: 'aVL', MDC_ECG_LEAD_AVF: 'aVF',
  MDC_ECG_LEAD_V1: 'V1', MDC_ECG_LEAD_V2: 'V2', MDC_ECG_LEAD_V3: 'V3', MDC_ECG_LEAD_V4: 'V4', MDC_ECG_LEAD_V5: 'V5', MDC_ECG_LEAD_V6: 'V6',
  '5.6.3-9-1': 'I', '5.6.3-9-2': 'II', '5.6.3-9-61': 'III', '5.6.3-9-62': 'aVR', '5.6.3-9-63': 'aVL', '5.6.3-9-64': 'aVF',
  '5.6.3-9-3': 'V1', '5.6.3-9-4': 'V2', '5.6.3-9-5': 'V3', '5.6.3-9-6': 'V4', '5.6.3-9-7': 'V5', '5.6.3-9-8': 'V6',
};

function leadOf(channel: Attributes, at: number): LeadName {
  const source = sequence(channel, '003A0208')[0];
  return CODES[text(source, '00080100') ?? ''] ?? text(channel, '003A0203') ?? `${at + 1}`;
}

/** What one unit of the file is in millivolts; null when the unit is none of voltage. */
function millivolts(channel: Attributes): number | null {
  const unit = text(sequence(channel, '003A0211')[0], '00080100');
  return unit === null ? 0.001 : ({ uV: 0.001, mV: 1, V: 1_000, nV: 0.000_001 }[unit] ?? null);
}

/** The raw samples of one group, as numbers; interleaved by channel. */
export function rawSamples(bytes: Uint8Array, bits: number, interpretation: string): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = bits / 8;
  const read: Record<string, (at: number) => number> = {
    SB: (at) => view.getInt8(at), UB: (at) => view.getUint8(at), SS: (at) => view.getInt16(at, true), US: (at) => view.getUint16(at, true),
    SL: (at) => view.getInt32(at, true), UL: (at) => view.getUint32(at, true),
  };
  const how = read[interpretation] ?? read['SS'];
  const count = Math.floor(bytes.byteLength / size);
  return Float64Array.from({ length: count }, (_, at) => (how ? how(at * size) : 0));
}

/** The padding value, whatever way it was written. */
function paddingOf(group: Attributes, bits: number, interpretation: string): number | null {
  const inline = inlineBytes(group['5400100A']);
  if (inline && inline.byteLength >= bits / 8) return rawSamples(inline.slice(0, bits / 8), bits, interpretation)[0] ?? null;
  return number(group, '5400100A');
}

/** One group of channels with its samples. */
export function ecgOf(set: Attributes, group: Attributes, bytes: Uint8Array): Ecg | null {
  const channels = sequence(group, '003A0200');
  const rate = number(group, '003A001A') ?? 0;
  const count = number(group, '003A0010') ?? 0;
  if (channels.length === 0 || rate <= 0) return null;
  const bits = number(group, '54001004') ?? 16;
  const interpretation = text(group, '54001006') ?? 'SS';
  const raw = rawSamples(bytes, bits, interpretation);
  const padding = paddingOf(group, bits, interpretation);
  const length = Math.min(count || Infinity, Math.floor(raw.length / channels.length));
  const leads = channels.map((channel, at): Lead => {
    const unit = millivolts(channel) ?? 0.001;
    const gain = (number(channel, '003A0210') ?? 1) * (number(channel, '003A0212') ?? 1) * unit;
    const base = (number(channel, '003A0213') ?? 0) * unit;
    const samples = Float32Array.from({ length }, (_, sample) => {
      const value = raw[sample * channels.length + at] ?? Number.NaN;
      return value === padding ? Number.NaN : value * gain + base;
    });
    return { name: leadOf(channel, at), samples, derived: false, low: number(channel, '003A0220'), high: number(channel, '003A0221'), notch: number(channel, '003A0222') };
  });
  return { leads: withDerived(leads), rate, seconds: length / rate, label: text(group, '003A0020') ?? '', notes: notesOf(set) };
}

/** Adds limb leads that the device left out, by Einthoven and Goldberger. */
export function withDerived(leads: readonly Lead[]): Lead[] {
  const by = new Map(leads.map((lead) => [lead.name, lead]));
  const first = by.get('I');
  const second = by.get('II');
  if (!first || !second) return [...leads];
  const made: [LeadName, (one: number, two: number) => number][] = [
    ['III', (one, two) => two - one], ['aVR', (one, two) => -(one + two) / 2], ['aVL', (one, two) => one - two / 2], ['aVF', (one, two) => two - one / 2],
  ];
  for (const [name, how] of made) {
    if (by.has(name)) continue;
    const samples = Float32Array.from(first.samples, (value, at) => how(value, second.samples[at] ?? Number.NaN));
    by.set(name, { ...first, name, samples, derived: true });
  }
  const rank = (name: string) => {
    const at = (LEADS as readonly string[]).indexOf(name);
    return at < 0 ? LEADS.length : at;
  };
  return [...by.values()].sort((a, b) => rank(a.name) - rank(b.name));
}

function notesOf(set: Attributes): string[] {
  return sequence(set, '0040B020').flatMap((note) => {
    const value = number(note, '0040A30A');
    const concept = text(sequence(note, '0040A043')[0], '00080104');
    const unit = text(sequence(note, '004008EA')[0], '00080100') ?? '';
    const words = text(note, '00700006');
    if (concept && value !== null) return [`${concept} ${value} ${unit}`.trim()];
    return words ? [words] : [];
  });
}
