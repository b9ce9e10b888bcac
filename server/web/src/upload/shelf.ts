// What outlives a closed tab or a crash: the studies under way, in this browser's database on this computer. It holds patient data, so
// it is wiped at signing out, and what is another person's is wiped when somebody begins.
import { type DBSchema, type IDBPDatabase, openDB } from 'idb';

import type { Urgency } from './codes';
import { DATABASE } from './names';
import type { Card } from './views';

/** A study under way, or done. */
export interface Kept {
  id: string;
  person: string;
  clinic: string;
  card: Card;
  urgency: Urgency;
  since: number;
  paused: boolean;
  /** The manifest as it is offered; null while its files are still being hashed. */
  raw: Uint8Array<ArrayBuffer> | null;
  /** Where its files are, where the browser can find them again by itself. */
  roots: FileSystemHandle[];
  receipt: { bytes: Uint8Array<ArrayBuffer>; signature: Uint8Array<ArrayBuffer>; at: number } | null;
}

interface Schema extends DBSchema {
  studies: { key: string; value: Kept };
}

let opened: Promise<IDBPDatabase<Schema> | null> | null = null;

/** The database; null where the browser refuses one (a private window): then nothing outlives the page. */
function database(): Promise<IDBPDatabase<Schema> | null> {
  opened ??= openDB<Schema>(DATABASE, 1, {
    upgrade: (made) => {
      made.createObjectStore('studies', { keyPath: 'id' });
    },
    // Signing out in another tab deletes the database: this one lets go.
    blocking: (_now, _next, event) => {
      (event.target as IDBDatabase).close();
      opened = null;
    },
    terminated: () => {
      opened = null;
    },
  }).catch(() => null);
  return opened;
}

/** Keeps a study; false where it cannot be kept. */
export async function keep(study: Kept): Promise<boolean> {
  const base = await database();
  if (!base) return false;
  try {
    await base.put('studies', study);
    return true;
  } catch {
    // A handle that cannot be kept: the rest of it can, and its folder is picked again.
    try {
      await base.put('studies', { ...study, roots: [] });
    } catch {
      return false;
    }
    return true;
  }
}

export async function forget(id: string): Promise<void> {
  await (await database())?.delete('studies', id).catch(() => undefined);
}

/** The studies of a person; those of anybody else are wiped. */
export async function recall(person: string): Promise<Kept[]> {
  const base = await database();
  if (!base) return [];
  const all = await base.getAll('studies').catch(() => []);
  for (const one of all) if (one.person !== person) await forget(one.id);
  return all.filter((one) => one.person === person);
}

/** One study as it is kept now. */
export async function look(id: string): Promise<Kept | undefined> {
  return (await database())?.get('studies', id).catch(() => undefined);
}
