// Who is signed in: fetched once from `/me`, kept in memory, wiped with everything else at signing out.
import { useSyncExternalStore } from 'react';

import { api, ok, onSignedOut, setCsrf, type Schemas } from '@/api/client';
import { Problem } from '@/api/problem';
import { renewWith } from '@/api/request';

import { queries } from './queries';

/** Somebody's account as the page knows it; what came with the session stands beside it. */
export type Me = Schemas['PersonBody'] & {
  /** A second factor must be set up before anything else. */
  must_enrol?: boolean;
  second_factor?: boolean;
  organizations?: { id: string; name: string; kind: string }[];
};
export type Role =
  | 'technician'
  | 'clinic_doctor'
  | 'reporter'
  | 'verifier'
  | 'coordinator'
  | 'administrator'
  | 'auditor';

type State = { known: false } | { known: true; me: Me | null };

let state: State = { known: false };
const listeners = new Set<() => void>();
const wipers = new Set<() => Promise<void> | void>();

function become(next: State): void {
  state = next;
  listeners.forEach((call) => call());
}

/** Adds something that must not outlive the session, such as a local database with patient data. */
export function wipeAtSignOut(wipe: () => Promise<void> | void): void {
  wipers.add(wipe);
}

/** Whose things may lie on this machine: an account's number, nothing of a patient. */
const OWNER = 'medrelay.owner';

/** The databases on this machine, and what wipes each: parts of the pages that this tab may never have loaded. */
const STORES: Record<string, () => Promise<unknown>> = {
  'medrelay-reader': () => import('@/areas/reader/report/recovery'),
  'medrelay-upload': () => import('@/upload'),
};

/** Wipes what somebody's work has left on this machine. */
async function wipeAll(): Promise<void> {
  const stores = await indexedDB.databases().catch(() => []);
  await Promise.allSettled(stores.map(({ name }) => STORES[name ?? '']?.()));
  await Promise.allSettled([...wipers].map(async (wipe) => wipe()));
}

/** Takes over a session that has just begun. What somebody else's session left here, such as one that ran out, is wiped first. */
export async function begin(me: Me, csrf: string | null): Promise<void> {
  setCsrf(csrf);
  const owner = localStorage.getItem(OWNER);
  if (owner !== null && owner !== me.id) {
    sessionStorage.clear();
    await wipeAll();
  }
  localStorage.setItem(OWNER, me.id);
  become({ known: true, me });
}

/** Finds out who is signed in; asked before the first page. */
export async function restore(): Promise<Me | null> {
  return state.known ? state.me : refresh();
}

/** Asks again who is signed in and what they may. */
export async function refresh(): Promise<Me | null> {
  try {
    const me = await ok(api.GET('/api/v1/me'));
    const token = (me as { csrf_token?: string | null }).csrf_token;
    if (token) setCsrf(token);
    become({ known: true, me });
    return me;
  } catch (error) {
    if (error instanceof Problem && error.status === 401) {
      become({ known: true, me: null });
      return null;
    }
    throw error;
  }
}

/** Forgets the session and what came with it; `server` ends it there, too. */
export async function end(server: boolean): Promise<void> {
  if (server) await api.DELETE('/api/v1/sessions/current').catch(() => undefined);
  setCsrf(null);
  queries.clear();
  sessionStorage.clear();
  await wipeAll();
  localStorage.removeItem(OWNER);
  become({ known: true, me: null });
}

onSignedOut(() => {
  if (state.known && state.me) void end(false);
});

// The password was changed in another tab, or somebody else has signed in there: then nothing of the one before may stay.
renewWith(async () => {
  const before = currentMe()?.id;
  const me = await refresh();
  if (me?.id === before) return me !== null;
  queries.clear();
  window.location.assign('/');
  return false;
});

function follow(call: () => void): () => void {
  listeners.add(call);
  return () => listeners.delete(call);
}

/** Who is signed in; `null` for nobody. */
export function useMe(): Me | null {
  const now = useSyncExternalStore(follow, () => state);
  return now.known ? now.me : null;
}

/** Who is signed in, outside of components. */
export function currentMe(): Me | null {
  return state.known ? state.me : null;
}

/** Whether somebody has one of the roles anywhere. */
export function has(me: Me | null, ...roles: Role[]): boolean {
  return me?.grants.some((grant) => roles.includes(grant.role as Role)) ?? false;
}

/** The organizations where somebody has one of the roles. */
export function placesOf(me: Me | null, ...roles: Role[]): string[] {
  const places = me?.grants.filter((grant) => roles.includes(grant.role as Role)) ?? [];
  return [...new Set(places.map((grant) => grant.organization))];
}
