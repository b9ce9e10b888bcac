// The claims that this window holds: in memory, and in the tab's storage so that a reload goes on with them.
import { useSyncExternalStore } from 'react';

import { currentMe } from '@/app/session';

import type { Claim, Proof } from '../api';

const FRONT = 'medrelay.claim.';
const known = new Map<string, Proof | null>();
const listeners = new Set<() => void>();

function tell(): void {
  listeners.forEach((call) => call());
}

function stored(id: string): Proof | null {
  const text = sessionStorage.getItem(FRONT + id);
  if (!text) return null;
  const kept = JSON.parse(text) as Proof & { person: string };
  return kept.person === currentMe()?.id ? { token: kept.token, fence: kept.fence } : null;
}

/** The proof of a claim of this window. */
export function proofOf(id: string): Proof | null {
  if (!known.has(id)) known.set(id, stored(id));
  return known.get(id) ?? null;
}

/** Remembers a claim that was just made. */
export function keepProof(claim: Claim): void {
  const proof = { token: claim.token, fence: claim.fence };
  known.set(claim.case.id, proof);
  sessionStorage.setItem(FRONT + claim.case.id, JSON.stringify({ ...proof, person: currentMe()?.id }));
  tell();
}

/** Forgets a claim that has ended. */
export function dropProof(id: string): void {
  known.set(id, null);
  sessionStorage.removeItem(FRONT + id);
  tell();
}

function follow(call: () => void): () => void {
  listeners.add(call);
  return () => listeners.delete(call);
}

/** The proof of a claim of this window, as it changes. */
export function useProof(id: string): Proof | null {
  return useSyncExternalStore(follow, () => proofOf(id));
}
