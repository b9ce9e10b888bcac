// What somebody has set up for themselves: kept at the relay with a version, so that it follows them to every machine.
import { useCallback, useSyncExternalStore } from 'react';

import { asProblem } from '@/api/problem';
import { request } from '@/api/request';
import { wipeAtSignOut } from '@/app/session';

type Body = Record<string, unknown>;
interface Kept {
  body: Body;
  version: number;
}

const PATH = '/api/v1/me/preferences';
const WAIT = 800;
let kept: Kept = { body: {}, version: 0 };
let changed: Body = {};
let loading: Promise<void> | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;
let sending = false;
const listeners = new Set<() => void>();

function tell(): void {
  listeners.forEach((call) => call());
}

async function load(): Promise<void> {
  const answer = await request<Kept>('GET', PATH);
  kept = { body: answer.body ?? {}, version: answer.version ?? 0 };
  tell();
}

/** Fetches them once; what cannot be fetched is asked again with the next change, until then the defaults hold. */
export function loadPreferences(): Promise<void> {
  loading ??= load().catch(() => {
    loading = null;
  });
  return loading;
}

async function save(): Promise<void> {
  if (sending) return;
  const part = changed;
  if (Object.keys(part).length === 0) return;
  sending = true;
  changed = {};
  try {
    await loadPreferences();
    const body = { ...kept.body, ...part };
    const answer = await request<Kept>('PUT', PATH, { body, version: kept.version });
    kept = { body, version: answer?.version ?? kept.version + 1 };
  } catch (error) {
    const problem = asProblem(error);
    changed = { ...part, ...changed };
    // Another window was quicker: what it has written stays, only our own parts go over it.
    if (problem.status === 409) await load().catch(() => undefined);
    if (problem.status === 409 || problem.passing) timer = setTimeout(() => void save(), 5 * WAIT);
  } finally {
    sending = false;
  }
  tell();
}

/** Sets one part; it is sent a moment later, together with whatever else changes. */
export function setPreference(name: string, value: unknown): void {
  changed = { ...changed, [name]: value };
  tell();
  clearTimeout(timer);
  timer = setTimeout(() => void save(), WAIT);
}

/** One part as it is now; `undefined` when it was never set. */
export function preference(name: string): unknown {
  return name in changed ? changed[name] : kept.body[name];
}

function follow(call: () => void): () => void {
  listeners.add(call);
  void loadPreferences();
  return () => listeners.delete(call);
}

/**
 * One part and how to set it. `read` makes something usable of whatever is kept, also of nothing and of what an older version wrote;
 * it must give the same object for the same input (primitives, or a function with a memory).
 */
export function usePreference<T>(name: string, read: (value: unknown) => T): [T, (value: T) => void] {
  const raw = useSyncExternalStore(follow, () => preference(name));
  const set = useCallback((value: T) => setPreference(name, value), [name]);
  return [read(raw), set];
}

wipeAtSignOut(() => {
  clearTimeout(timer);
  kept = { body: {}, version: 0 };
  changed = {};
  loading = null;
});
