// One clock for everything on the page that counts: it beats once a second, and stops when nothing is listening.
import { useSyncExternalStore } from 'react';

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function follow(call: () => void): () => void {
  listeners.add(call);
  timer ??= setInterval(() => listeners.forEach((listener) => listener()), 1_000);
  return () => {
    listeners.delete(call);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** What `read` says now. The component is drawn again only when that changes, so a thousand of them cost nothing. */
export function useTicking(read: () => string): string {
  return useSyncExternalStore(follow, read);
}
