// Where the focus goes when a dialogue has opened: to the first thing that is to be filled in, not to the cross that closes it.
import { useCallback, useRef, type RefObject } from 'react';

const FIRST = 'textarea, input:not([type=hidden]):not(:disabled), select';

/** For a dialogue's body and its `afterOpenChange`. */
export function useFirstField(): { body: RefObject<HTMLDivElement | null>; afterOpenChange: (open: boolean) => void } {
  const body = useRef<HTMLDivElement>(null);
  const afterOpenChange = useCallback((open: boolean) => {
    if (open) body.current?.querySelector<HTMLElement>(FIRST)?.focus();
  }, []);
  return { body, afterOpenChange };
}
