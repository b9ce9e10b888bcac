// ECG: samples to millivolts, derived leads, gaps, paper and measures.
import { describe, expect, it } from 'vitest';

import type { Attributes } from '../dicom/json';

import { beats, cautionOf, columnsOf, corrected, pixelsOf, rowsOf, secondsOf } from './scale';
import { ecgOf, LEADS } from './waveform';

const PADDING = -32_768;

function channel(code: string, unit = 'uV'): Attributes {
  return {
    '003A0208': { Value: [{ '00080100': { Value: [code] }, '00080102': { Value: ['MDC'] } }] },
    '003A0210': { Value: [2.5] },
    '003A0211': { Value: [{ '00080100': { Value: [unit] } }] },
    '003A0212': { Value: [1] },
    '003A0213': { Value: [100] },
    '003A0220': { Value: [0.05] },
    '003A0221': { Value: [150] },
  };
}

function group(codes: string[], seconds: number, rate: number): Attributes {
  return {
    '003A0005': { Value: [codes.length] }, '003A0010': { Value: [seconds * rate] }, '003A001A': { Value: [rate] }, '003A0200': { Value: codes.map((code) => channel(code)) },
    '54001004': { Value: [16] }, '54001006': { Value: ['SS'] }, '5400100A': { InlineBinary: btoa(String.fromCharCode(0, 0x80)) },
  };
}

function bytes(values: number[]): Uint8Array {
  return new Uint8Array(Int16Array.from(values).buffer);
}

describe('ECG', () => {
  it('turns samples into millivolts by sensitivity, correction and baseline, and padding into a gap', () => {
    const ecg = ecgOf({}, group(['2:1', '2:2'], 1, 2), bytes([400, 0, PADDING, 40]));
    expect(ecg?.leads[0]?.samples[0]).toBeCloseTo(1.1);
    expect(ecg?.leads[0]?.samples[1]).toBeNaN();
    expect(ecg?.leads[1]?.samples[1]).toBeCloseTo(0.2);
  });

  it('derives the limb leads that are missing and says so', () => {
    const ecg = ecgOf({}, group(['2:2', '2:1', '2:3'], 1, 1), bytes([1000, 400, 0]));
    const by = Object.fromEntries((ecg?.leads ?? []).map((lead) => [lead.name, lead]));
    expect(ecg?.leads.map((lead) => lead.name)).toEqual(['I', 'II', 'III', 'aVR', 'aVL', 'aVF', 'V1']);
    expect(by['III']?.samples[0]).toBeCloseTo(1.5);
    expect(by['aVR']?.samples[0]).toBeCloseTo(-1.85);
    expect(by['aVL']?.samples[0]).toBeCloseTo(-0.2);
    expect(by['aVF']?.samples[0]).toBeCloseTo(2.05);
    expect([by['I']?.derived, by['aVF']?.derived]).toEqual([false, true]);
  });

  const codes = ['2:1', '2:2', '2:61', '2:62', '2:63', '2:64', '2:3', '2:4', '2:5', '2:6', '2:7', '2:8'];
  const whole = ecgOf({}, group(codes, 10, 500), bytes(Array.from({ length: 12 * 5_000 }, () => 0)));

  it('lays out 3 by 4 with a rhythm strip, 2.5 seconds each', () => {
    expect(whole?.leads.map((lead) => lead.name)).toEqual([...LEADS]);
    const rows = whole ? rowsOf(whole, '3x4+1') : [];
    expect(rows.map((row) => row.strips.map((strip) => strip.lead.name).join(' '))).toEqual(['I aVR V1 V4', 'II aVL V2 V5', 'III aVF V3 V6', 'II']);
    expect(rows[0]?.strips[2]).toMatchObject({ at: 5, from: 5, to: 7.5 });
    expect(rows[3]?.strips[0]).toMatchObject({ from: 0, to: 10 });
    expect(whole && rowsOf(whole, '6x2').length).toBe(6);
    expect(whole && rowsOf(whole, '12x1').length).toBe(12);
  });

  it('keeps a pacing spike of one sample when it draws', () => {
    const samples = new Float32Array(5_000);
    samples[2_501] = 3;
    const columns = columnsOf(samples, 500, 0, 10, 300);
    expect(columns).toHaveLength(300);
    expect(Math.max(...columns.map((column) => column?.[1] ?? 0))).toBe(3);
    expect(columnsOf(new Float32Array(10).fill(Number.NaN), 10, 0, 1, 5).every((column) => column === null)).toBe(true);
  });

  it('measures', () => {
    const paper = { speed: 25, gain: 10, pixels: 4 };
    expect(pixelsOf(1, paper)).toBe(100);
    expect(secondsOf(100, paper)).toBe(1);
    expect(beats(0.8)).toBeCloseTo(75);
    expect(corrected(0.4, 0.64, 'bazett')).toBeCloseTo(0.5);
    expect(corrected(0.4, 0.512, 'fridericia')).toBeCloseTo(0.5);
    expect(corrected(0, 1, 'bazett')).toBeNull();
    expect(whole && cautionOf(whole)).toBeNull();
    expect(whole && cautionOf({ ...whole, rate: 250 })).toBe('low');
    expect(whole && cautionOf({ ...whole, rate: 100 })).toBe('refused');
  });
});
