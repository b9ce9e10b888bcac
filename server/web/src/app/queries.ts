// The cache of what the relay has said, and when it is asked again.
import { QueryClient } from '@tanstack/react-query';

import { asProblem } from '@/api/problem';

/** One for the page. Live events (`live.ts`) say what is stale; asking by time is the net below. */
export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      refetchOnWindowFocus: true,
      // What failed for want of a network is asked again, what was refused is not.
      retry: (count, error) => asProblem(error).passing && count < 5,
      retryDelay: (count) => Math.min(8_000, 400 * 2 ** count),
    },
  },
});
