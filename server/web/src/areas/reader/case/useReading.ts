// Reading a case under a claim: where the text begins, what is restored, and what happens when the claim ends.
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react';

import { asProblem, type Problem } from '@/api/problem';
import { useMe } from '@/app/session';

import { readDrafts, readReport, readReports, type CaseDetail, type Draft, type Proof, type Writing } from '../api';
import { EMPTY, Keeper, same } from '../report/keeper';
import { forget, kept, type Kept } from '../report/recovery';
import { dropProof, useProof } from './claims';
import { freshCase, refreshCase } from './useCase';
import { useHeartbeat } from './useHeartbeat';

/** Two versions of the text; somebody has to say which one goes on. */
export interface Choice {
  here: Kept;
  relay: Draft | null;
}

export interface Reading {
  proof: Proof | null;
  keeper: Keeper | null;
  /** The preliminary report that is being verified. */
  before: Writing | null;
  /** Texts that others, or an earlier claim, have left behind. */
  left: Draft[];
  choice: Choice | null;
  /** When the text was restored from this machine, milliseconds. */
  restored: number | null;
  lost: Problem | null;
  problem: Problem | null;
  choose: (which: 'here' | 'relay') => void;
  retry: () => void;
}

interface Begun {
  keeper: Keeper | null;
  before: Writing | null;
  left: Draft[];
  choice: Choice | null;
  restored: number | null;
}

const NOTHING: Begun = { keeper: null, before: null, left: [], choice: null, restored: null };

function newest<T extends { saved_at: number }>(drafts: T[]): T | undefined {
  return drafts.toSorted((a, b) => b.saved_at - a.saved_at)[0];
}

/** The text that the relay and this machine have for a claim that was just made, or goes on after a reload. */
async function begin(id: string, me: string): Promise<Begun> {
  // What the cache has of the case may be older than the claim.
  const [detail, drafts, here, reports] = await Promise.all([freshCase(id), readDrafts(id), kept(id), readReports(id)]);
  const line = detail.case.stage === 'verifying' ? reports.filter((report) => report.kind === 'preliminary').at(-1) : undefined;
  const before = line ? (await readReport(line.id)).text : null;
  const own = newest(drafts.filter((draft) => draft.author === me && draft.state === 'live')) ?? newest(drafts.filter((draft) => draft.author === me));
  // What was signed, is empty or is the same as one's own is nothing that was left behind.
  const left = drafts.filter((draft) => draft !== own && !same(draft.text, EMPTY) && !same(draft.text, before) && !same(draft.text, own?.text ?? null));
  const saved = own ? { text: own.text, at: own.saved_at } : null;
  const common = { before, left };
  const plain = () => new Keeper(id, own?.text ?? before ?? EMPTY, own?.state === 'live' ? saved : null);
  if (!here || same(here.text, own?.text ?? EMPTY)) {
    if (here) forget(id);
    return { ...common, keeper: plain(), choice: null, restored: null };
  }
  // Typed on top of what the relay still has: it simply goes on. Otherwise there are two versions, and a person decides.
  if (same(here.base, own?.text ?? null)) return { ...common, keeper: new Keeper(id, here.text, saved), choice: null, restored: here.at };
  return { ...common, keeper: null, choice: { here, relay: own ?? null }, restored: null };
}

/** Follows the claim of this window on a case. */
export function useReading(id: string, detail: CaseDetail | undefined): Reading {
  const me = useMe()?.id ?? '';
  const proof = useProof(id);
  const [begun, setBegun] = useState<Begun>(NOTHING);
  const [lost, setLost] = useState<Problem | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [turn, setTurn] = useState(0);
  const loading = useRef(false);
  const { keeper } = begun;
  const known = detail !== undefined;

  const onLost = useCallback(
    (why: Problem) => {
      keeper?.lose(why);
      dropProof(id);
      setLost(why);
      refreshCase(id);
    },
    [id, keeper],
  );
  useHeartbeat(id, proof, detail?.case.version, onLost);

  useEffect(() => {
    if (!proof || !known) return;
    setLost(null);
    if (keeper) return keeper.hold(proof);
    if (begun.choice || loading.current) return;
    loading.current = true;
    begin(id, me)
      .then(
        (next) => {
          next.keeper?.hold(proof);
          setBegun(next);
          setProblem(null);
        },
        (error: unknown) => setProblem(asProblem(error)),
      )
      .finally(() => {
        loading.current = false;
      });
  }, [id, me, proof, known, keeper, begun.choice, turn]);

  // A save that was refused because the claim has ended is the same as a heartbeat that was.
  const saving = useSyncExternalStore(
    useCallback((call: () => void) => keeper?.follow(call) ?? (() => undefined), [keeper]),
    () => keeper?.now().saving ?? null,
  );
  useEffect(() => {
    const why = keeper?.now().problem;
    if (saving === 'lost' && proof && why) onLost(why);
  }, [saving, keeper, proof, onLost]);

  useEffect(() => {
    if (!keeper) return undefined;
    const hidden = () => {
      if (document.hidden) keeper.leave();
    };
    const online = () => void keeper.save();
    document.addEventListener('visibilitychange', hidden);
    window.addEventListener('pagehide', hidden);
    window.addEventListener('online', online);
    return () => {
      document.removeEventListener('visibilitychange', hidden);
      window.removeEventListener('pagehide', hidden);
      window.removeEventListener('online', online);
      keeper.leave();
    };
  }, [keeper]);

  const choose = (which: 'here' | 'relay') => {
    const { choice } = begun;
    if (!choice) return;
    const saved = choice.relay ? { text: choice.relay.text, at: choice.relay.saved_at } : null;
    const text = which === 'here' ? choice.here.text : (choice.relay?.text ?? begun.before ?? EMPTY);
    if (which === 'relay') forget(id);
    const next = new Keeper(id, text, saved);
    if (proof) next.hold(proof);
    setBegun({ ...begun, keeper: next, choice: null });
  };
  return { ...begun, proof, lost, problem, choose, retry: () => setTurn((before) => before + 1) };
}
