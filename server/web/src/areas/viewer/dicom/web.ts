// Asking the relay's DICOMweb: lists, metadata, frames. The session's cookie goes along; refusals become a Problem.
import { asProblem, Problem, problemOf } from '@/api/problem';

import { instancePath } from './model';
import type { Attributes } from './json';
import { formTook, measured, nextForm } from './traffic';

export interface FrameBytes {
  bytes: Uint8Array;
  syntax: string;
}

const NATIVE = '1.2.840.10008.1.2.1';
const JPEG_LS = '1.2.840.10008.1.2.4.80';

async function ask(path: string, accept: string, signal?: AbortSignal, low = false): Promise<Response> {
  let response: Response;
  try {
    const how: RequestInit = { credentials: 'same-origin', headers: { Accept: accept }, priority: low ? 'low' : 'auto' };
    if (signal) how.signal = signal;
    response = await fetch(path, how);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw asProblem(error);
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function askList(path: string, signal?: AbortSignal, low = false): Promise<Attributes[]> {
  const response = await ask(path, 'application/dicom+json', signal, low);
  if (response.status === 204) return [];
  const body: unknown = await response.json().catch(() => null);
  if (!Array.isArray(body)) throw new Problem({ status: 502, code: 'NOT_DICOM_JSON', detail: 'the answer is no DICOM JSON' });
  return body as Attributes[];
}

export function askSeries(study: string, signal?: AbortSignal, low = false): Promise<Attributes[]> {
  return askList(`/dicomweb/studies/${study}/series?includefield=0008103E&includefield=00180015&includefield=00181030&limit=1000`, signal, low);
}

export function askSeriesMetadata(study: string, series: string, signal?: AbortSignal, low = false): Promise<Attributes[]> {
  return askList(`/dicomweb/studies/${study}/series/${series}/metadata`, signal, low);
}

/** Metadata of one image of a series that stands about in the middle, without waiting for all of it. */
export async function askOneOf(study: string, series: string, count: number, signal?: AbortSignal): Promise<Attributes | null> {
  const middle = Math.max(0, Math.floor((count - 1) / 2));
  const found = await askList(`/dicomweb/studies/${study}/series/${series}/instances?limit=1&offset=${middle}`, signal);
  const sop = found[0]?.['00080018']?.Value?.[0];
  if (typeof sop !== 'string') return null;
  return (await askList(`${instancePath(study, series, sop)}/metadata`, signal))[0] ?? null;
}

function parameter(type: string, name: string): string | null {
  const found = new RegExp(`${name}\\s*=\\s*(?:"([^"]*)"|([^;\\s]+))`, 'i').exec(type);
  return found?.[1] ?? found?.[2] ?? null;
}

const KNOWN: Record<string, string> = {
  'image/jls': JPEG_LS,
  'image/jpeg': '1.2.840.10008.1.2.4.50',
  'image/jp2': '1.2.840.10008.1.2.4.90',
  'image/jphc': '1.2.840.10008.1.2.4.201',
  'image/dicom-rle': '1.2.840.10008.1.2.5',
};

function syntaxOf(type: string): string {
  const said = parameter(type, 'transfer-syntax');
  if (said && said !== '*') return said;
  return KNOWN[type.split(';')[0]?.trim().toLowerCase() ?? ''] ?? NATIVE;
}

/** The first part of a multipart answer. */
export function firstPart(body: Uint8Array, boundary: string): { type: string; bytes: Uint8Array } | null {
  const ascii = (from: number, to: number) => String.fromCharCode(...body.subarray(from, to));
  const head = ascii(0, Math.min(body.length, 4_096));
  const start = head.indexOf(`--${boundary}`);
  const blank = start < 0 ? -1 : head.indexOf('\r\n\r\n', start);
  if (blank < 0) return null;
  const headers = head.slice(start, blank);
  const type = /content-type:\s*([^\r\n]+)/i.exec(headers)?.[1] ?? 'application/octet-stream';
  const given = /content-length:\s*(\d+)/i.exec(headers)?.[1];
  const from = blank + 4;
  if (given) return { type, bytes: body.subarray(from, from + Number(given)) };
  // The end marker stands in the last bytes: searched from the end, since pixels may look like anything.
  const tail = ascii(Math.max(from, body.length - boundary.length - 16), body.length);
  const mark = tail.indexOf(`\r\n--${boundary}`);
  return mark < 0 ? null : { type, bytes: body.subarray(from, body.length - (tail.length - mark)) };
}

const asStored = 'multipart/related; type="application/octet-stream"; transfer-syntax=*';
const compressed = `image/jls; transfer-syntax=${JPEG_LS}`;
let compressing = true;

/** How a frame is asked for: native pixels as lossless JPEG-LS on lines where that is quicker, all else as stored. */
function acceptOf(set: Attributes | undefined): string {
  const grey = set?.['00280002']?.Value?.[0] === 1;
  const stored = set?.['00083002']?.Value?.[0];
  const native = typeof stored !== 'string' || /^1\.2\.840\.10008\.1\.2(\.[12])?(\.99)?$/.test(stored);
  return compressing && grey && native && nextForm() === 'packed' ? compressed : asStored;
}

/** The bytes of a frame and how they are written. */
export async function askFrame(path: string, set: Attributes | undefined, signal?: AbortSignal, low = false): Promise<FrameBytes> {
  const accept = acceptOf(set);
  const began = performance.now();
  let response: Response;
  try {
    response = await ask(path, accept, signal, low);
  } catch (error) {
    // An older relay, or an object that it cannot write so: from then on as stored.
    if (!(error instanceof Problem) || error.status !== 406 || accept === asStored) throw error;
    compressing = false;
    response = await ask(path, asStored, signal, low);
  }
  const headers = performance.now();
  const body = new Uint8Array(await response.arrayBuffer());
  const done = performance.now();
  // What comes out of the browser's own cache says nothing about the line.
  if (done - began > 4) {
    measured(body.length, done - headers + (headers - began) / 2);
    formTook(accept === compressed ? 'packed' : 'stored', done - began);
  }
  const type = response.headers.get('Content-Type') ?? '';
  if (!type.toLowerCase().startsWith('multipart/')) return { bytes: body, syntax: syntaxOf(type) };
  const part = firstPart(body, parameter(type, 'boundary') ?? '');
  if (!part) throw new Problem({ status: 502, code: 'BROKEN_MULTIPART', detail: 'the frame came incomplete' });
  const inner = parameter(part.type, 'transfer-syntax') ? part.type : `${part.type}; transfer-syntax=${parameter(type, 'transfer-syntax') ?? '*'}`;
  return { bytes: part.bytes, syntax: syntaxOf(inner) };
}

/** A value that stands beside the metadata. The address may be absolute; only its path counts, since there is one host. */
export async function askBulk(address: string, signal?: AbortSignal): Promise<Uint8Array> {
  const path = new URL(address, location.origin).pathname;
  const response = await ask(path, 'application/octet-stream', signal);
  const body = new Uint8Array(await response.arrayBuffer());
  const type = response.headers.get('Content-Type') ?? '';
  if (!type.toLowerCase().startsWith('multipart/')) return body;
  return firstPart(body, parameter(type, 'boundary') ?? '')?.bytes ?? body;
}
