// Gives Cornerstone what it asks about an image out of the relay's metadata; it never parses a file itself.
import { calibrated } from '../dicom/calibration';
import { columnOf, rowOf } from '../dicom/geometry';
import { number, numbers, text } from '../dicom/json';
import { inFrame, type Frame } from '../dicom/model';

import { fileWindows } from './presets';

const frames = new Map<string, Frame>();

/** Makes images known. */
export function introduce(list: readonly Frame[]): void {
  for (const frame of list) frames.set(frame.imageId, frame);
}

export function forget(list: readonly Frame[]): void {
  for (const frame of list) frames.delete(frame.imageId);
}

export function frameOf(imageId: string): Frame | undefined {
  return frames.get(imageId);
}

/** A frame of reference for every image; those without one share that of their series. */
export function frameOfReferenceOf(frame: Frame): string {
  return text(frame.set, '00200052') ?? `${frame.series}.none`;
}

function plane(frame: Frame) {
  const [row, column] = frame.spacing ?? [1, 1];
  const rowCosines = frame.orientation ? rowOf(frame.orientation) : [1, 0, 0];
  const columnCosines = frame.orientation ? columnOf(frame.orientation) : [0, 1, 0];
  return {
    frameOfReferenceUID: frameOfReferenceOf(frame),
    rows: frame.rows,
    columns: frame.columns,
    imageOrientationPatient: [...rowCosines, ...columnCosines],
    rowCosines,
    columnCosines,
    imagePositionPatient: frame.position ?? [0, 0, 0],
    sliceThickness: frame.thickness ?? undefined,
    sliceLocation: number(frame.set, '00201041') ?? undefined,
    pixelSpacing: [row, column],
    rowPixelSpacing: row,
    columnPixelSpacing: column,
    usingDefaultValues: frame.spacing === null,
  };
}

function pixels(frame: Frame) {
  const { set } = frame;
  const samples = number(set, '00280002') ?? 1;
  const kind = text(set, '00280004') ?? (samples === 3 ? 'RGB' : 'MONOCHROME2');
  return {
    samplesPerPixel: samples,
    photometricInterpretation: kind,
    planarConfiguration: number(set, '00280006') ?? 0,
    rows: frame.rows,
    columns: frame.columns,
    bitsAllocated: number(set, '00280100') ?? 8,
    bitsStored: number(set, '00280101') ?? number(set, '00280100') ?? 8,
    highBit: number(set, '00280102') ?? 7,
    pixelRepresentation: number(set, '00280103') ?? 0,
    ...palette(frame, kind),
  };
}

function palette(frame: Frame, kind: string) {
  if (kind !== 'PALETTE COLOR') return {};
  const table = (tag: string) => {
    const data = frame.set[tag];
    if (!data) return undefined;
    const raw = data.InlineBinary ? Uint8Array.from(atob(data.InlineBinary), (one) => one.charCodeAt(0)) : Uint8Array.from((data.Value as number[]) ?? []);
    const sixteen = numbers(frame.set, '00281101')[2] === 16;
    return sixteen ? Array.from(new Uint16Array(raw.buffer, 0, raw.byteLength >> 1)) : Array.from(raw);
  };
  return {
    redPaletteColorLookupTableDescriptor: numbers(frame.set, '00281101'),
    greenPaletteColorLookupTableDescriptor: numbers(frame.set, '00281102'),
    bluePaletteColorLookupTableDescriptor: numbers(frame.set, '00281103'),
    redPaletteColorLookupTableData: table('00281201'),
    greenPaletteColorLookupTableData: table('00281202'),
    bluePaletteColorLookupTableData: table('00281203'),
  };
}

function voi(frame: Frame) {
  const windows = fileWindows(frame);
  if (windows.length === 0) return {};
  return {
    windowCenter: windows.map((window) => window.centre),
    windowWidth: windows.map((window) => window.width),
    voiLUTFunction: text(frame.set, '00281056') ?? undefined,
  };
}

function rescale(frame: Frame) {
  const slope = inFrame(frame, '00289145', '00281053')[0];
  const intercept = inFrame(frame, '00289145', '00281052')[0];
  return { rescaleSlope: slope ?? 1, rescaleIntercept: intercept ?? 0, rescaleType: text(frame.set, '00281054') ?? undefined };
}

/** The provider; Cornerstone asks by kind and image. */
export function provide(kind: string, imageId: unknown): unknown {
  const frame = typeof imageId === 'string' ? frames.get(imageId) : undefined;
  if (!frame) return undefined;
  switch (kind) {
    case 'imagePlaneModule':
      return plane(frame);
    case 'imagePixelModule':
      return pixels(frame);
    case 'voiLutModule':
      return voi(frame);
    case 'modalityLutModule':
      return rescale(frame);
    case 'generalSeriesModule':
      return { modality: text(frame.set, '00080060') ?? '', seriesInstanceUID: frame.series, studyInstanceUID: frame.study, seriesNumber: number(frame.set, '00200011') ?? 0 };
    case 'sopCommonModule':
      return { sopClassUID: text(frame.set, '00080016') ?? '', sopInstanceUID: frame.sop };
    case 'calibrationModule':
      return calibrated(frame);
    default:
      return undefined;
  }
}
