// The cache of what the relay has said, and when it is asked again.
import { QueryClient } from '@tanstack/react-query';

import { asProblem } from '@/api/problem';

/** So long, in milliseconds, an answer is taken for what it is; what never changes has a longer time of its own. */
const FRESH = 15_000;

/** One for the page. Live events (`live.ts`) say what is stale; asking by time is the net below. */
export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: FRESH,
      refetchOnWindowFocus: true,
      // What failed for want of a network is asked again, what was refused is not.
      retry: (count, error) => asProblem(error).passing && count < 5,
      retryDelay: (count) => Math.min(8_000, 400 * 2 ** count),
    },
  },
});

/** Asks again for everything on the page that may change. */
export function askAgain(): void {
  const live = ({ observers }: { observers: { options: { staleTime?: unknown } }[] }) =>
    observers.some(({ options: { staleTime } }) => typeof staleTime === 'number' && staleTime <= FRESH);
  void queries.refetchQueries({ type: 'active', predicate: live });
}
