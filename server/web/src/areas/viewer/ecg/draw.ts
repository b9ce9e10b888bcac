// Draws an ECG on paper: grid, calibration pulse, leads, calipers.
import type { EcgMark } from '../types';

import { columnsOf, pixelsOf, type Paper, type Row } from './scale';

export interface Colours {
  paper: string;
  small: string;
  large: string;
  curve: string;
  text: string;
  caliper: string;
}

export const onPaper: Colours = { paper: '#fff9f7', small: '#f7d9d4', large: '#e9a79d', curve: '#15181c', text: '#39424c', caliper: '#0b5ea8' };
export const inDark: Colours = { paper: '#0d1114', small: '#1d262b', large: '#33434b', curve: '#d9f2e6', text: '#b5bec8', caliper: '#ffd166' };

/** Millimetres left of the curves for the calibration pulse, and from row to row. */
export const LEFT = 12;
export const ROW = 30;

export interface Drawn {
  rows: readonly Row[];
  paper: Paper;
  colours: Colours;
  width: number;
  height: number;
  rate: number;
  marks: readonly EcgMark[];
  captions: ReadonlyMap<string, string>;
}

export function draw(context: CanvasRenderingContext2D, what: Drawn): void {
  const { paper, colours, width, height } = what;
  context.fillStyle = colours.paper;
  context.fillRect(0, 0, width, height);
  grid(context, what);
  const mm = paper.pixels;
  what.rows.forEach((row, at) => {
    const middle = (at + 0.5) * ROW * mm;
    pulse(context, what, middle);
    for (const strip of row.strips) {
      const x = LEFT * mm + pixelsOf(strip.at, paper);
      curve(context, what, strip.lead.samples, strip.from, strip.to, x, middle);
      context.fillStyle = colours.text;
      context.font = `${Math.max(11, 3.2 * mm)}px sans-serif`;
      context.fillText(strip.lead.name + (strip.lead.derived ? '*' : ''), x + mm, middle - 9 * mm);
      context.fillRect(x, middle - 5 * mm, 1, 3 * mm);
    }
  });
  what.marks.forEach((mark) => caliper(context, what, mark));
}

function grid(context: CanvasRenderingContext2D, { paper, colours, width, height }: Drawn): void {
  const lines = (step: number, colour: string) => {
    context.strokeStyle = colour;
    context.lineWidth = 1;
    context.beginPath();
    for (let x = 0; x <= width; x += step) {
      context.moveTo(Math.round(x) + 0.5, 0);
      context.lineTo(Math.round(x) + 0.5, height);
    }
    for (let y = 0; y <= height; y += step) {
      context.moveTo(0, Math.round(y) + 0.5);
      context.lineTo(width, Math.round(y) + 0.5);
    }
    context.stroke();
  };
  if (paper.pixels >= 2.5) lines(paper.pixels, colours.small);
  lines(5 * paper.pixels, colours.large);
}

/** One millivolt for 200 milliseconds. */
function pulse(context: CanvasRenderingContext2D, { paper, colours }: Drawn, middle: number): void {
  const mm = paper.pixels;
  const up = middle - paper.gain * mm;
  const width = pixelsOf(0.2, paper);
  context.strokeStyle = colours.curve;
  context.lineWidth = 1.2;
  context.beginPath();
  context.moveTo(2 * mm, middle);
  context.lineTo(4 * mm, middle);
  context.lineTo(4 * mm, up);
  context.lineTo(4 * mm + width, up);
  context.lineTo(4 * mm + width, middle);
  context.lineTo(6 * mm + width, middle);
  context.stroke();
}

function curve(context: CanvasRenderingContext2D, what: Drawn, samples: Float32Array, from: number, to: number, x: number, middle: number): void {
  const { paper, colours, rate } = what;
  const width = pixelsOf(to - from, paper);
  const columns = columnsOf(samples, rate, from, to, width);
  const y = (value: number) => middle - value * paper.gain * paper.pixels;
  context.strokeStyle = colours.curve;
  context.lineWidth = 1.3;
  context.lineJoin = 'round';
  context.beginPath();
  let drawing = false;
  columns.forEach((column, at) => {
    if (!column) {
      drawing = false;
      return;
    }
    const [least, most] = column;
    if (drawing) context.lineTo(x + at, y(most));
    else context.moveTo(x + at, y(most));
    if (least !== most) context.lineTo(x + at, y(least));
    drawing = true;
  });
  context.stroke();
}

/** Where a time stands in a row; null when the row does not show it. */
export function xOf(row: Row, seconds: number, paper: Paper): number | null {
  const strip = row.strips.find((one) => seconds >= one.from && seconds <= one.to);
  return strip ? LEFT * paper.pixels + pixelsOf(strip.at + seconds - strip.from, paper) : null;
}

function caliper(context: CanvasRenderingContext2D, what: Drawn, mark: EcgMark): void {
  what.rows.forEach((row, at) => {
    if (!row.strips.some((strip) => strip.lead.name === mark.lead)) return;
    const from = xOf(row, mark.from, what.paper);
    const to = xOf(row, mark.to, what.paper);
    if (from === null || to === null) return;
    const strip = row.strips.find((one) => mark.from >= one.from && mark.from <= one.to);
    if (strip?.lead.name !== mark.lead) return;
    const top = (at + 0.08) * ROW * what.paper.pixels;
    const bottom = (at + 0.92) * ROW * what.paper.pixels;
    context.strokeStyle = what.colours.caliper;
    context.fillStyle = what.colours.caliper;
    context.lineWidth = 1.5;
    context.beginPath();
    for (const x of [from, to]) {
      context.moveTo(x, top);
      context.lineTo(x, bottom);
    }
    context.moveTo(from, bottom - 4);
    context.lineTo(to, bottom - 4);
    context.stroke();
    context.font = '600 12px sans-serif';
    context.fillText(what.captions.get(mark.id) ?? '', Math.min(from, to) + 4, bottom - 8);
  });
}
