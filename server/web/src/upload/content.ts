// The bytes of something that was dropped: a file, or a part of an archive, never as a whole in memory unless it is small.
import type { Readable } from './parse';

/** Where bytes are; can be handed to another worker. */
export interface Content {
  blob: Blob;
  /** Length after inflating, where the blob is a raw deflate stream; null where it is the bytes themselves. */
  inflated: number | null;
}

/** Bytes that a head may take from a deflated part of an archive. */
const MOST_HEAD = 32 << 20;
/** Read from a plain blob at once where somebody goes through it in order. */
const AHEAD = 4 << 20;

export function sizeOf(content: Content): number {
  return content.inflated ?? content.blob.size;
}

async function bytesOf(blob: Blob): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await blob.arrayBuffer());
}

function inflating(blob: Blob): ReadableStreamDefaultReader<Uint8Array> {
  return blob.stream().pipeThrough(new DecompressionStream('deflate-raw')).getReader();
}

/** Content as something whose head can be parsed; `close` when done. */
export function headOf(content: Content): Readable & { close(): void } {
  if (content.inflated === null) {
    const { blob } = content;
    return { size: blob.size, read: (from, count) => bytesOf(blob.slice(from, from + count)), close: () => undefined };
  }
  const size = content.inflated;
  const reader = inflating(content.blob);
  let here = new Uint8Array(0);
  const read = async (from: number, count: number) => {
    const wanted = Math.min(size, from + count);
    if (wanted > MOST_HEAD) throw new Error('the head is too large');
    while (here.length < wanted) {
      const { done, value } = await reader.read();
      if (done) break;
      const joined = new Uint8Array(here.length + value.length);
      joined.set(here);
      joined.set(value, here.length);
      here = joined;
    }
    return here.subarray(from, wanted);
  };
  return { size, read, close: () => void reader.cancel().catch(() => undefined) };
}

/** Content from `start` on, in order: as many bytes as asked for, fewer only at the end. Fails when it is not as long as it says. */
export function inOrder(content: Content, start: number): (bytes: number) => Promise<Uint8Array> {
  const size = sizeOf(content);
  let at = start;
  if (content.inflated === null) {
    let [buffer, base] = [new Uint8Array(0), start];
    return async (bytes) => {
      const end = Math.min(at + bytes, size);
      if (end > base + buffer.length) {
        const from = at;
        buffer = await bytesOf(content.blob.slice(from, Math.min(size, Math.max(end, from + AHEAD))));
        base = from;
      }
      const taken = buffer.subarray(at - base, end - base);
      at += taken.length;
      return taken;
    };
  }
  const reader = inflating(content.blob);
  let [passed, rest] = [0, new Uint8Array(0) as Uint8Array];
  const take = async (bytes: number) => {
    const parts: Uint8Array[] = [];
    let missing = bytes;
    while (missing > 0) {
      if (rest.length === 0) {
        const { done, value } = await reader.read();
        if (done) break;
        rest = value;
        passed += value.length;
        if (passed > size) throw new Error('an archive lies about its parts');
      }
      const part = rest.subarray(0, missing);
      rest = rest.subarray(part.length);
      missing -= part.length;
      parts.push(part);
    }
    if (missing > 0 && passed !== size) throw new Error('an archive lies about its parts');
    if (parts.length === 1) return parts[0]!;
    const whole = new Uint8Array(bytes - missing);
    let to = 0;
    for (const part of parts) {
      whole.set(part, to);
      to += part.length;
    }
    return whole;
  };
  let skip = start;
  return async (bytes) => {
    while (skip > 0) skip -= (await take(Math.min(skip, AHEAD))).length;
    return take(bytes);
  };
}

/** Content as a blob of its own bytes. */
export async function plain(content: Content, most: number): Promise<Blob> {
  if (content.inflated === null) return content.blob;
  if (content.inflated > most) throw new Error('too large');
  const next = inOrder(content, 0);
  const parts: Blob[] = [];
  for (;;) {
    const bytes = await next(AHEAD);
    if (bytes.length === 0) return new Blob(parts);
    parts.push(new Blob([bytes as Uint8Array<ArrayBuffer>]));
  }
}
