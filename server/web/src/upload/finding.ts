// What ties a study to this browser: handles of its files, the permission to read them, and the lock that keeps other tabs out.
import { Table } from './group';
import { take } from './take';

/** How long a lock may take before a person is told that another tab has it. */
const LATE_MS = 300;

/** Holds a study for this tab as soon as no other has it; gives what lets go of it. */
export function holdStudy(name: string, elsewhere: () => void): Promise<() => void> {
  if (!('locks' in navigator)) return Promise.resolve(() => undefined);
  const late = setTimeout(elsewhere, LATE_MS);
  return new Promise((held) => {
    void navigator.locks.request(`medrelay-upload:${name}`, () => {
      clearTimeout(late);
      return new Promise<void>((release) => held(release));
    });
  });
}

/** Whether a tab holds a study now. */
export async function isHeld(name: string): Promise<boolean> {
  if (!('locks' in navigator)) return false;
  const { held } = await navigator.locks.query();
  return held?.some((lock) => lock.name === `medrelay-upload:${name}`) ?? false;
}

/** Whether the browser lets these be read without asking a person. */
export async function mayRead(roots: FileSystemHandle[]): Promise<boolean> {
  for (const root of roots) {
    const handle = root as FileSystemHandle & { queryPermission?(how: { mode: 'read' }): Promise<PermissionState> };
    const state = await handle.queryPermission?.({ mode: 'read' }).catch(() => 'denied' as const);
    if (state !== 'granted') return false;
  }
  return roots.length > 0;
}

/** Everything below these handles, as studies; each of them is gone through once. */
export async function findAll(handles: FileSystemHandle[]): Promise<Table> {
  const roots: FileSystemHandle[] = [];
  for (const handle of handles) {
    const known = await Promise.all(roots.map((other) => other.isSameEntry(handle)));
    if (!known.includes(true)) roots.push(handle);
  }
  const table = new Table();
  await take(roots.map((handle) => ({ handle })), (found) => {
    if (!('skip' in found)) table.add(found, 0);
  }, () => false);
  return table;
}
