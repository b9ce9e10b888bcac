// What was typed and is not at the relay yet, kept on this machine until it is: for a reload in the tab's storage at once, for a crash
// in IndexedDB a moment later. Wiped at sign-out; what belongs to somebody else or is old goes when the page begins.
import { openDB, type DBSchema, type IDBPDatabase } from 'idb';

import { currentMe, wipeAtSignOut } from '@/app/session';

import type { Writing } from '../api';

/** A text that was not saved. */
export interface Kept {
  person: string;
  name: string;
  text: Writing;
  /** What the relay had when it was typed; `null` for nothing. */
  base: Writing | null;
  /** When, in milliseconds of this machine. */
  at: number;
}

interface Schema extends DBSchema {
  texts: { key: string; value: Kept };
}

const DATABASE = 'medrelay-reader';
const FRONT = 'medrelay.text.';
const OLD = 7 * 86_400_000;
let opened: Promise<IDBPDatabase<Schema>> | null = null;

async function begin(): Promise<IDBPDatabase<Schema>> {
  const database = await openDB<Schema>(DATABASE, 1, {
    upgrade(fresh) {
      fresh.createObjectStore('texts');
    },
  });
  const me = currentMe()?.id;
  const limit = Date.now() - OLD;
  let cursor = await database.transaction('texts', 'readwrite').store.openCursor();
  while (cursor) {
    if (cursor.value.person !== me || cursor.value.at < limit) await cursor.delete();
    cursor = await cursor.continue();
  }
  return database;
}

/** The database; private windows and full disks have none, then the tab's storage has to do. */
async function database(): Promise<IDBPDatabase<Schema> | null> {
  opened ??= begin();
  try {
    return await opened;
  } catch {
    opened = null;
    return null;
  }
}

function keyOf(name: string): string | null {
  const me = currentMe();
  return me ? `${me.id}.${name}` : null;
}

const later = new Map<string, ReturnType<typeof setTimeout>>();

/** Keeps a text under a name such as the identifier of its case. */
export function keep(name: string, text: Writing, base: Writing | null): void {
  const key = keyOf(name);
  const me = currentMe();
  if (!key || !me) return;
  const kept: Kept = { person: me.id, name, text, base, at: Date.now() };
  try {
    sessionStorage.setItem(FRONT + key, JSON.stringify(kept));
  } catch {
    // Full: the database below still takes it.
  }
  clearTimeout(later.get(key));
  later.set(
    key,
    setTimeout(() => void database().then(async (open) => open?.put('texts', kept, key).catch(() => undefined)), 400),
  );
}

/** What is kept under a name, the younger of both places. */
export async function kept(name: string): Promise<Kept | null> {
  const key = keyOf(name);
  if (!key) return null;
  const near = sessionStorage.getItem(FRONT + key);
  const quick = near ? (JSON.parse(near) as Kept) : null;
  const open = await database();
  const slow = (await open?.get('texts', key).catch(() => undefined)) ?? null;
  if (quick && slow) return quick.at >= slow.at ? quick : slow;
  return quick ?? slow;
}

/** Forgets what is kept under a name: the relay has it. */
export function forget(name: string): void {
  const key = keyOf(name);
  if (!key) return;
  sessionStorage.removeItem(FRONT + key);
  clearTimeout(later.get(key));
  later.delete(key);
  void database().then(async (open) => open?.delete('texts', key).catch(() => undefined));
}

wipeAtSignOut(async () => {
  later.forEach((timer) => clearTimeout(timer));
  later.clear();
  const open = await database();
  await open?.clear('texts');
});
