// One key per intention: the same content sent twice is one call for the relay, other content is another.
import { useRef } from 'react';

import { newKey } from '@/api/request';

/** Gives the `Idempotency-Key` for a body: the same one until the body changes or `spent` is called. */
export function useIntention(): { keyFor: (body: unknown) => string; spent: () => void } {
  const last = useRef<{ text: string; key: string } | null>(null);
  const given = useRef({
    keyFor: (body: unknown) => {
      const text = JSON.stringify(body);
      if (last.current?.text !== text) last.current = { text, key: newKey() };
      return last.current.key;
    },
    spent: () => {
      last.current = null;
    },
  });
  return given.current;
}
