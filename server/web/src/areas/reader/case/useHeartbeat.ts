// Keeps a claim alive while its case is open, and says when it is not ours any more.
import { useEffect, useRef } from 'react';

import { asProblem, type Problem } from '@/api/problem';

import { keepClaim, type CaseBody, type Proof } from '../api';

const EVERY = 60_000;

/** `onKept` hears the case as it is now, `onLost` once that the claim has ended. A cut line is no loss: it is tried again soon. */
export function useHeartbeat(id: string, proof: Proof | null, onKept: (body: CaseBody) => void, onLost: (problem: Problem) => void): void {
  const kept = useRef(onKept);
  const lost = useRef(onLost);
  kept.current = onKept;
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
        const body = await keepClaim(id, proof);
        if (!over) kept.current(body);
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
    void beat();
    document.addEventListener('visibilitychange', awake);
    window.addEventListener('online', awake);
    return () => {
      over = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', awake);
      window.removeEventListener('online', awake);
    };
  }, [id, proof]);
}
