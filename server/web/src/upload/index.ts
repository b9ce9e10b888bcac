// The upload for the pages: one worker for the page, what it tells as a snapshot, and how files get to it.
import { useSyncExternalStore } from 'react';

import { currentMe, placesOf, wipeAtSignOut } from '@/app/session';

import { DATABASE } from './names';
import { recall } from './shelf';
import type { Ask, Sending, Snapshot, Told } from './views';
import { EMPTY } from './views';

export type { Draft, Sending, Snapshot } from './views';

/** A small picture of a study. */
export interface Picture {
  width: number;
  height: number;
  pixels: Uint8ClampedArray<ArrayBuffer>;
}

/** Files handed over at once: a message with more would hold the page up. */
const BATCH = 50;

let worker: Worker | null = null;
let snapshot: Snapshot = EMPTY;
const pictures = new Map<string, Picture>();
const listeners = new Set<() => void>();
let drops = 0;

function told(message: MessageEvent<Told>): void {
  if (message.data.told === 'snapshot') {
    snapshot = message.data.snapshot;
  } else {
    const { key, width, height, pixels } = message.data;
    pictures.set(key, { width, height, pixels });
    snapshot = { ...snapshot };
  }
  listeners.forEach((call) => call());
}

/** Starts the worker for whoever is signed in; what was under way goes on. */
export function startUpload(): void {
  const me = currentMe();
  if (worker || !me) return;
  worker = new Worker(new URL('./engine.worker.ts', import.meta.url), { type: 'module' });
  worker.onmessage = told;
  ask({ ask: 'begin', person: me.id, clinics: placesOf(me, 'technician') });
}

/** Asks something of the worker. */
export function ask(what: Ask): void {
  worker?.postMessage(what);
}

function follow(call: () => void): () => void {
  listeners.add(call);
  return () => listeners.delete(call);
}

/** What is shown. */
export function useUpload(): Snapshot {
  return useSyncExternalStore(follow, () => snapshot);
}

/** The picture of a study, if there is one. */
export function pictureOf(key: string): Picture | null {
  return pictures.get(key) ?? null;
}

/** Whether a study would be lost, or stand still, when the page is closed now. */
export function isOpen(sending: Sending): boolean {
  return sending.state !== 'committed';
}

/** Studies that are not at the relay yet: to be told before signing out, which wipes them. */
export function unfinished(): number {
  return snapshot.drafts.length + snapshot.sending.filter(isOpen).length;
}

/** The same, and those that an earlier page has left, where this one has not begun with them. */
export async function left(): Promise<number> {
  const me = currentMe();
  if (worker || !me) return unfinished();
  return (await recall(me.id)).filter((kept) => !kept.receipt).length;
}

/** Takes files that were picked by an input. */
export async function takeFiles(files: FileList): Promise<void> {
  drops += 1;
  const drop = drops;
  for (let at = 0; at < files.length; at += BATCH) {
    const given = Array.from({ length: Math.min(BATCH, files.length - at) }, (_, next) => {
      const file = files[at + next]!;
      return { file, path: file.webkitRelativePath || file.name };
    });
    ask({ ask: 'take', drop, given, last: at + BATCH >= files.length });
    // The page stays smooth however many there are.
    await new Promise((go) => setTimeout(go));
  }
}

/** Takes folders and files by handles, which can be read again after the page was closed. */
export function takeHandles(handles: FileSystemHandle[]): void {
  drops += 1;
  if (handles.length > 0) ask({ ask: 'take', drop: drops, given: handles.map((handle) => ({ handle })), last: true });
}

interface HandleItem extends DataTransferItem {
  getAsFileSystemHandle?(): Promise<FileSystemHandle | null>;
}

/** Takes what was dropped: by handles where the browser has them, else entry by entry. */
export async function takeDrop(data: DataTransfer): Promise<void> {
  const items = [...data.items].filter((item) => item.kind === 'file') as HandleItem[];
  if (items.every((item) => item.getAsFileSystemHandle)) {
    const handles = await Promise.all(items.map((item) => item.getAsFileSystemHandle?.().catch(() => null)));
    const there = handles.filter((handle) => handle !== null && handle !== undefined);
    if (there.length > 0) {
      takeHandles(there);
      return;
    }
  }
  const entries = items.map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (entries.length === 0) {
    await takeFiles(data.files);
    return;
  }
  drops += 1;
  await takeEntries(entries, drops);
}

async function takeEntries(entries: FileSystemEntry[], drop: number): Promise<void> {
  let batch: { file: File; path: string }[] = [];
  const flush = (last: boolean) => {
    if (batch.length > 0 || last) ask({ ask: 'take', drop, given: batch, last });
    batch = [];
  };
  const open = [...entries];
  for (let entry = open.shift(); entry; entry = open.shift()) {
    if (entry.isDirectory) {
      open.push(...(await childrenOf(entry as FileSystemDirectoryEntry)));
      continue;
    }
    const { fullPath } = entry;
    const file = await new Promise<File | null>((done) => (entry as FileSystemFileEntry).file(done, () => done(null)));
    if (file) batch.push({ file, path: fullPath.replace(/^\//, '') });
    if (batch.length >= BATCH) flush(false);
  }
  flush(true);
}

async function childrenOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((done) => reader.readEntries(done, () => done([])));
    if (some.length === 0) return all;
    all.push(...some);
  }
}

/** Asks a person for the permission to read the files of a study again; must be called by a click. */
export async function permit(sending: Sending): Promise<void> {
  for (const root of sending.roots) {
    const handle = root as FileSystemHandle & { requestPermission?(how: { mode: 'read' }): Promise<PermissionState> };
    if ((await handle.requestPermission?.({ mode: 'read' })) !== 'granted') return;
  }
  ask({ ask: 'granted', id: sending.id });
}

wipeAtSignOut(() => {
  worker?.terminate();
  worker = null;
  pictures.clear();
  snapshot = EMPTY;
  listeners.forEach((call) => call());
  return new Promise<void>((done) => {
    const wiping = indexedDB.deleteDatabase(DATABASE);
    wiping.onsuccess = wiping.onerror = wiping.onblocked = () => done();
  });
});
