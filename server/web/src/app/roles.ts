// Whoever has several roles may work as one of them: the menu then shows that one's pages. What they may do stays what it is.
import { useSyncExternalStore } from 'react';

import { type Me, type Role, wipeAtSignOut } from './session';

const KEPT = 'medrelay.role';
const listeners = new Set<() => void>();

/** The different roles of somebody, in the order of their grants. */
export function rolesOf(me: Me | null): Role[] {
  return [...new Set(me?.grants.map((grant) => grant.role as Role) ?? [])];
}

/** The role that was chosen; `null` for all of them. */
export function chosenRole(me: Me | null): Role | null {
  const kept = sessionStorage.getItem(KEPT);
  const roles = rolesOf(me);
  return roles.length > 1 ? (roles.find((role) => role === kept) ?? null) : null;
}

/** Chooses for this tab, until signing out. */
export function chooseRole(role: Role | null): void {
  if (role) sessionStorage.setItem(KEPT, role);
  else sessionStorage.removeItem(KEPT);
  listeners.forEach((call) => call());
}

/** The chosen role, followed. */
export function useChosenRole(me: Me | null): Role | null {
  return useSyncExternalStore(
    (call) => {
      listeners.add(call);
      return () => listeners.delete(call);
    },
    () => chosenRole(me),
  );
}

wipeAtSignOut(() => chooseRole(null));
