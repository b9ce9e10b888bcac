// The parts of a ZIP archive by its central directory (APPNOTE 6.3.10): read by slices, so that an archive of gigabytes costs no memory.
import type { Content } from './content';

/** One file of an archive. */
export interface Part {
  name: string;
  /** Finds its bytes; null where they cannot be read: they are encrypted, or compressed in another way. */
  open(): Promise<Content | null>;
}

const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const MOST_DIRECTORY = 64 << 20;
const MOST_PARTS = 200_000;
const FULL16 = 0xffff;
const FULL32 = 0xffffffff;

/** The archive is damaged; the text says how. */
export class BadZip extends Error {}

/** Whether bytes are the beginning of an archive. */
export function isZip(front: Uint8Array): boolean {
  return front[0] === 0x50 && front[1] === 0x4b && ((front[2] === 3 && front[3] === 4) || (front[2] === 5 && front[3] === 6));
}

/** Reads what an archive holds, without the folders. */
export async function readZip(blob: Blob): Promise<Part[]> {
  const directory = await findDirectory(blob);
  if (directory.size > MOST_DIRECTORY || directory.offset + directory.size > blob.size) throw new BadZip('the directory is not where it should be');
  const view = await viewOf(blob.slice(directory.offset, directory.offset + directory.size));
  const parts: Part[] = [];
  let at = 0;
  while (at + 46 <= view.byteLength && view.getUint32(at, true) === ENTRY) {
    const [nameBytes, extraBytes, commentBytes] = [view.getUint16(at + 28, true), view.getUint16(at + 30, true), view.getUint16(at + 32, true)];
    const end = at + 46 + nameBytes + extraBytes + commentBytes;
    if (end > view.byteLength) throw new BadZip('an entry ends behind the directory');
    const name = nameOf(bytesAt(view, at + 46, nameBytes), (view.getUint16(at + 8, true) & 0x800) !== 0);
    if (!name.endsWith('/')) {
      const entry = at;
      parts.push({ name, open: () => contentOf(blob, view, entry, nameBytes, extraBytes) });
    }
    if (parts.length > MOST_PARTS) throw new BadZip('too many files');
    at = end;
  }
  if (parts.length === 0 && directory.count > 0) throw new BadZip('the directory cannot be read');
  return parts;
}

interface Directory {
  offset: number;
  size: number;
  count: number;
}

async function findDirectory(blob: Blob): Promise<Directory> {
  const tail = Math.min(blob.size, 22 + 0xffff + 20);
  const view = await viewOf(blob.slice(blob.size - tail));
  for (let at = view.byteLength - 22; at >= 0; at -= 1) {
    if (view.getUint32(at, true) !== END) continue;
    const directory = { count: view.getUint16(at + 10, true), size: view.getUint32(at + 12, true), offset: view.getUint32(at + 16, true) };
    const is64 = directory.count === FULL16 || directory.size === FULL32 || directory.offset === FULL32;
    if (!is64) return directory;
    if (at < 20 || view.getUint32(at - 20, true) !== LOCATOR64) return directory;
    const where = big(view, at - 20 + 8);
    const far = await viewOf(blob.slice(where, where + 56));
    if (far.byteLength < 56 || far.getUint32(0, true) !== END64) throw new BadZip('the end of the archive is damaged');
    return { count: big(far, 32), size: big(far, 40), offset: big(far, 48) };
  }
  throw new BadZip('the archive has no end: was it copied completely?');
}

async function contentOf(blob: Blob, view: DataView, at: number, nameBytes: number, extraBytes: number): Promise<Content | null> {
  const [flags, method] = [view.getUint16(at + 8, true), view.getUint16(at + 10, true)];
  if ((flags & 1) !== 0 || (method !== 0 && method !== 8)) return null;
  let [packed, size, offset] = [view.getUint32(at + 20, true), view.getUint32(at + 24, true), view.getUint32(at + 42, true)];
  // ZIP64: what did not fit stands in the extra field, in this order.
  let extra = at + 46 + nameBytes;
  const end = extra + extraBytes;
  while (extra + 4 <= end) {
    const [id, length] = [view.getUint16(extra, true), view.getUint16(extra + 2, true)];
    if (id === 1) {
      let field = extra + 4;
      const next = () => {
        if (field + 8 > Math.min(end, extra + 4 + length)) throw new BadZip('an entry is damaged');
        field += 8;
        return big(view, field - 8);
      };
      if (size === FULL32) size = next();
      if (packed === FULL32) packed = next();
      if (offset === FULL32) offset = next();
    }
    extra += 4 + length;
  }
  const local = await viewOf(blob.slice(offset, offset + 30));
  if (local.byteLength < 30 || local.getUint32(0, true) !== LOCAL) throw new BadZip('a file is not where the directory says');
  const start = offset + 30 + local.getUint16(26, true) + local.getUint16(28, true);
  if (start + packed > blob.size || (method === 0 && packed !== size)) throw new BadZip('a file ends behind the archive');
  return { blob: blob.slice(start, start + packed), inflated: method === 8 ? size : null };
}

/** Names are UTF-8 where the archive says so; Chinese systems write GBK without saying. */
function nameOf(bytes: Uint8Array, utf8: boolean): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder(utf8 ? 'utf-8' : 'gb18030').decode(bytes);
  }
}

function bytesAt(view: DataView, at: number, count: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, count);
}

function big(view: DataView, at: number): number {
  const value = Number(view.getBigUint64(at, true));
  if (!Number.isSafeInteger(value)) throw new BadZip('a number is too large');
  return value;
}

async function viewOf(blob: Blob): Promise<DataView> {
  return new DataView(await blob.arrayBuffer());
}
