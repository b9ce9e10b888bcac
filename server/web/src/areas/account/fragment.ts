// One-time secrets stand behind the # of a link, so that they reach no log. They leave the history of the browser at once.
import { useEffect, useLayoutEffect, useState } from 'react';

let kept: { path: string; secret: string } | null = null;

/** Reads the secret and keeps it; it leaves the address a moment later. */
function take(path: string): string {
  const fragment = window.location.hash.slice(1);
  if (fragment) kept = { path, secret: new URLSearchParams(fragment).get('token') ?? fragment };
  return kept?.path === path ? kept.secret : '';
}

function clear(path: string): void {
  if (window.location.hash.length > 1) window.history.replaceState(null, '', path);
}

/** Forgets the secret: it has been used. */
export function spend(): void {
  kept = null;
}

/** The secret of the link that led to `path`; empty for none. It outlives the component, not the page. */
export function useSecret(path: string): string {
  const [secret, setSecret] = useState(() => take(path));
  useLayoutEffect(() => clear(path), [path]);
  useEffect(() => {
    // Another link pasted into the same page changes nothing but the fragment.
    const changed = () => {
      if (window.location.hash.length <= 1) return;
      setSecret(take(path));
      clear(path);
    };
    window.addEventListener('hashchange', changed);
    return () => window.removeEventListener('hashchange', changed);
  }, [path]);
  return secret;
}
