// One case with everything that hangs on it, asked again when something happens to it.
import { useQuery } from '@tanstack/react-query';
import { useCallback } from 'react';

import { useHappened, type Happened } from '@/app/live';
import { queries } from '@/app/queries';
import { loadViewer } from '@/areas/viewer/load';

import { readCase, readFindings, readMessages, readPriors, readReports } from '../api';

/** How long, in milliseconds, an answer that was asked for ahead counts as new. */
const AT_HAND = 5_000;

/** Asks again for what the cache has of a case. */
export function refreshCase(id: string): void {
  void queries.invalidateQueries({ queryKey: ['case', id] });
}

/** The case as the relay has it now, whatever the cache has. */
export function freshCase(id: string) {
  return queries.fetchQuery({ queryKey: ['case', id, 'self'], queryFn: () => readCase(id), staleTime: 0 });
}

/** Asks for what the first image waits for, before there is a page to show it. */
export function beginCase(id: string): void {
  void loadViewer().catch(() => undefined);
  void queries.prefetchQuery({ queryKey: ['case', id, 'priors'], queryFn: () => readPriors(id), staleTime: 300_000 });
  const detail = queries.fetchQuery({ queryKey: ['case', id, 'self'], queryFn: () => readCase(id), staleTime: AT_HAND });
  // What fails is asked for again, and told, by the page.
  Promise.all([detail, import('@/areas/viewer')]).then(
    ([{ study }, { prefetchWords }]) => prefetchWords(study.uid),
    () => undefined,
  );
}

/** The case itself. */
export function useCase(id: string) {
  useHappened(
    [],
    useCallback(
      (event: Happened) => {
        if (event.object === `case:${id}`) refreshCase(id);
      },
      [id],
    ),
  );
  return useQuery({ queryKey: ['case', id, 'self'], queryFn: () => readCase(id) });
}

export const useReports = (id: string) => useQuery({ queryKey: ['case', id, 'reports'], queryFn: () => readReports(id) });
export const usePriors = (id: string) => useQuery({ queryKey: ['case', id, 'priors'], queryFn: () => readPriors(id), staleTime: 300_000 });
export const useMessages = (id: string) => useQuery({ queryKey: ['case', id, 'messages'], queryFn: () => readMessages(id) });
export const useFindings = (id: string) => useQuery({ queryKey: ['case', id, 'findings'], queryFn: () => readFindings(id) });
