// Keeps a claim alive while its case is open, and says when it is not ours any more.
import { useEffect, useRef } from 'react';

import { asProblem, type Problem } from '@/api/problem';

import { keepClaim, type Proof } from '../api';

const EVERY = 60_000;

/**
 * `onLost` hears once that the claim has ended. A cut line is no loss: it is tried again soon. Another `version` of the case means that
 * something has happened to it: then it is asked at once whether it is still ours.
 */
export function useHeartbeat(id: string, proof: Proof | null, version: number | undefined, onLost: (problem: Problem) => void): void {
  const lost = useRef(onLost);
  const now = useRef<() => void>(() => undefined);
  lost.current = onLost;
  useEffect(() => {
    if (!proof) return undefined;
    let over = false;
    let busy = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const beat = async () => {
      if (over || busy) return;
      busy = true;
      clearTimeout(timer);
      let wait = EVERY;
      try {
        await keepClaim(id, proof);
      } catch (error) {
        const problem = asProblem(error);
        if (problem.passing || problem.status >= 500 || problem.status === 429) wait = 10_000;
        else if (problem.status !== 401 && !over) {
          over = true;
          lost.current(problem);
        }
      }
      busy = false;
      if (!over) timer = setTimeout(() => void beat(), wait);
    };
    // A machine that slept, a tab that was in the background: ask at once whether it is still ours.
    const awake = () => {
      if (!document.hidden) void beat();
    };
    now.current = () => void beat();
    void beat();
    document.addEventListener('visibilitychange', awake);
    window.addEventListener('online', awake);
    return () => {
      over = true;
      now.current = () => undefined;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', awake);
      window.removeEventListener('online', awake);
    };
  }, [id, proof]);
  useEffect(() => now.current(), [version]);
}
