// Everything that was dropped or picked, file by file: folders, archives within archives, discs, single files.
import { type Content, headOf, plain, sizeOf } from './content';
import { type Facts, parse, type Skip } from './parse';
import { isZip, type Part, readZip } from './zip';

/** What a person gave: a handle of the file system, where the browser offers it, or a file with its path. */
export type Given = { handle: FileSystemHandle } | { file: File; path: string };

/** What became of one file. */
export type Found = { path: string; content: Content; facts: Facts } | { path: string; skip: Skip };

/** Folders within each other, archives within each other, and files altogether. */
const MOST_FOLDERS = 32;
const MOST_ARCHIVES = 3;
const MOST_FILES = 200_000;
/** Bytes of an archive within an archive, which has to be unpacked to be read. */
const MOST_NESTED = 4 * 2 ** 30;
/** Files that are looked at at once. */
const TOGETHER = 8;

interface Item {
  path: string;
  archives: number;
  open(): Promise<Content | null>;
}

/** Goes through everything that was given; calls `found` for every file, in no particular order. */
export async function take(given: Given[], found: (one: Found) => void, stopped: () => boolean): Promise<void> {
  const items = walk(given);
  let count = 0;
  const work = async () => {
    for (;;) {
      const next = await items.next();
      if (next.done || stopped()) return;
      count += 1;
      if (count > MOST_FILES) return;
      await look(next.value, found, stopped);
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, work));
}

async function* walk(given: Given[]): AsyncGenerator<Item> {
  for (const one of given) {
    if ('handle' in one) yield* walkHandle(one.handle, one.handle.name, 0);
    else yield { path: one.path, archives: 0, open: async () => ({ blob: one.file, inflated: null }) };
  }
}

async function* walkHandle(handle: FileSystemHandle, path: string, depth: number): AsyncGenerator<Item> {
  if (handle.kind === 'file') {
    const file = handle as FileSystemFileHandle;
    yield { path, archives: 0, open: async () => ({ blob: await file.getFile(), inflated: null }) };
    return;
  }
  if (depth >= MOST_FOLDERS) return;
  const folder = handle as FileSystemDirectoryHandle & { values(): AsyncIterable<FileSystemHandle> };
  for await (const inner of folder.values()) yield* walkHandle(inner, `${path}/${inner.name}`, depth + 1);
}

async function look(item: Item, found: (one: Found) => void, stopped: () => boolean): Promise<void> {
  const { path } = item;
  let content: Content | null;
  try {
    content = await item.open();
  } catch {
    found({ path, skip: 'unreadable' });
    return;
  }
  if (!content) {
    found({ path, skip: 'locked' });
    return;
  }
  const head = headOf(content);
  try {
    const facts = await parse(head);
    if (typeof facts !== 'string') {
      found({ path, content, facts });
      return;
    }
    const zipped = facts === 'notDicom' && sizeOf(content) > 22 && isZip(await head.read(0, 4));
    if (!zipped) found({ path, skip: facts });
    else await unpack(item, content, found, stopped);
  } catch {
    found({ path, skip: 'unreadable' });
  } finally {
    head.close();
  }
}

async function unpack(item: Item, content: Content, found: (one: Found) => void, stopped: () => boolean): Promise<void> {
  if (item.archives >= MOST_ARCHIVES || (item.archives > 0 && sizeOf(content) > MOST_NESTED)) {
    found({ path: item.path, skip: 'tooLarge' });
    return;
  }
  let parts: Part[];
  try {
    parts = await readZip(await plain(content, MOST_NESTED));
  } catch {
    found({ path: item.path, skip: 'damaged' });
    return;
  }
  let next = 0;
  const work = async () => {
    while (next < parts.length && !stopped()) {
      const part = parts[next]!;
      next += 1;
      await look({ path: `${item.path}/${part.name}`, archives: item.archives + 1, open: () => part.open() }, found, stopped);
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, work));
}
