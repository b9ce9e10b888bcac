// Heavy work on one object at a time, away from everything that has to stay quick: hashing, packing, thumbnails.
import { loadCodecs } from './codecs';
import { type Content, inOrder, sizeOf } from './content';
import { pack } from './pack';
import type { Facts } from './parse';
import { planOf } from './plan';
import { Sha256 } from './sha256';
import { thumbnail } from './thumbnail';

/** What is asked of the worker. */
export type Job =
  | { do: 'hash'; content: Content; start: number }
  | { do: 'pack'; content: Content; facts: Facts; sha256: Uint8Array }
  | { do: 'thumbnail'; content: Content; facts: Facts; size: number };

/** What comes of it; `failed` where the bytes cannot be read or are not what was announced. */
export type Result =
  | { did: 'hash'; sha256: Uint8Array; bytes: number }
  | { did: 'pack'; pack: Uint8Array<ArrayBuffer> | Blob; bytes: number; sha256: Uint8Array }
  | { did: 'thumbnail'; width: number; height: number; pixels: Uint8ClampedArray<ArrayBuffer> }
  | { did: 'failed'; why: 'unreadable' | 'changed' };

/** Objects up to this size are held in memory as a whole; larger ones go through in pieces, and their packs into blobs. */
const WHOLE_BYTES = 64 << 20;
const STEP_BYTES = 4 << 20;

async function hash(content: Content, start: number): Promise<Result> {
  const bytes = sizeOf(content) - start;
  const next = inOrder(content, start);
  if (bytes <= WHOLE_BYTES) {
    const whole = await next(bytes);
    if (whole.length !== bytes) return { did: 'failed', why: 'changed' };
    return { did: 'hash', sha256: new Uint8Array(await crypto.subtle.digest('SHA-256', whole as Uint8Array<ArrayBuffer>)), bytes };
  }
  const hash = new Sha256();
  let count = 0;
  for (let part = await next(STEP_BYTES); part.length > 0; part = await next(STEP_BYTES)) {
    hash.update(part);
    count += part.length;
  }
  return count === bytes ? { did: 'hash', sha256: hash.digest(), bytes } : { did: 'failed', why: 'changed' };
}

async function packUp(content: Content, facts: Facts, sha256: Uint8Array): Promise<Result> {
  const codecs = await loadCodecs();
  const plan = planOf(typeof facts.pixels === 'object' ? facts.pixels : null);
  const large = facts.bytes > WHOLE_BYTES;
  let parts: Uint8Array[] = [];
  const blobs: Blob[] = [];
  let waiting = 0;
  const toBlob = () => {
    blobs.push(new Blob(parts as Uint8Array<ArrayBuffer>[]));
    parts = [];
    waiting = 0;
  };
  const summary = await pack(codecs, plan, inOrder(content, facts.start), (bytes) => {
    parts.push(bytes);
    waiting += bytes.length;
    if (large && waiting > STEP_BYTES) toBlob();
  });
  const same = summary.originalBytes === facts.bytes && summary.originalSha256.every((byte, at) => byte === sha256[at]);
  if (!same) return { did: 'failed', why: 'changed' };
  const { packedBytes: bytes, packedSha256 } = summary;
  if (large) {
    toBlob();
    return { did: 'pack', pack: new Blob(blobs), bytes, sha256: packedSha256 };
  }
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return { did: 'pack', pack: whole, bytes, sha256: packedSha256 };
}

async function work(job: Job): Promise<Result> {
  try {
    if (job.do === 'hash') return await hash(job.content, job.start);
    if (job.do === 'pack') return await packUp(job.content, job.facts, job.sha256);
    const image = await thumbnail(job.content, job.facts, job.size);
    return image ? { did: 'thumbnail', ...image } : { did: 'failed', why: 'unreadable' };
  } catch {
    return { did: 'failed', why: 'unreadable' };
  }
}

self.onmessage = (message: MessageEvent<{ id: number; job: Job }>) => {
  const { id, job } = message.data;
  void work(job).then((result) => {
    const moved = result.did === 'pack' && result.pack instanceof Uint8Array ? [result.pack.buffer] : result.did === 'thumbnail' ? [result.pixels.buffer] : [];
    self.postMessage({ id, result }, { transfer: moved });
  });
};
