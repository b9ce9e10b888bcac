// The ways to a case: look at it, claim it, take it over, take the next one. None of them is sent twice by a double click.
import { useNavigate } from '@tanstack/react-router';
import { App } from 'antd';
import { useCallback, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { asProblem } from '@/api/problem';
import { newKey } from '@/api/request';
import { plainWords } from '@/shared/Trouble';

import { claimCase, nextCase, readCase, takeOver, type CaseDetail, type Claim } from '../api';
import { keepProof } from '../case/claims';
import { refreshCase } from '../case/useCase';

export interface Opening {
  /** What is under way: the identifier of a case, `next`, or nothing. */
  busy: string | null;
  look: (id: string) => void;
  claim: (id: string) => Promise<void>;
  next: () => Promise<boolean>;
  /** Throws what went wrong: the dialogue that asked for the reason shows it. */
  takeOver: (id: string, reason: string) => Promise<void>;
}

/** `onRefused` hears a case as it is when somebody else was quicker. */
export function useOpening(onRefused?: (detail: CaseDetail) => void): Opening {
  const { t } = useTranslation('reader');
  const { message } = App.useApp();
  const navigate = useNavigate();
  const [busy, setBusy] = useState<string | null>(null);
  const running = useRef(false);

  const look = useCallback((id: string) => void navigate({ to: '/case/$id', params: { id } }), [navigate]);

  const taken = useCallback(
    (claim: Claim) => {
      keepProof(claim);
      refreshCase(claim.case.id);
      look(claim.case.id);
    },
    [look],
  );

  const once = useCallback(async (name: string, call: () => Promise<void>): Promise<boolean> => {
    if (running.current) return false;
    running.current = true;
    setBusy(name);
    try {
      await call();
      return true;
    } finally {
      running.current = false;
      setBusy(null);
    }
  }, []);

  const claim = useCallback(
    async (id: string) => {
      try {
        await once(id, async () => taken(await claimCase(id, newKey())));
      } catch (error) {
        const problem = asProblem(error);
        if (problem.code !== 'ALREADY_CLAIMED' && problem.code !== 'STATE_CONFLICT') return void message.error(plainWords(problem));
        const detail = await readCase(id).catch(() => null);
        if (detail) onRefused?.(detail);
        void message.warning(detail?.holder_name ? t('reader:queue.heldBy', { name: detail.holder_name }) : plainWords(problem));
      }
    },
    [once, taken, onRefused, message, t],
  );

  const next = useCallback(async () => {
    try {
      return await once('next', async () => taken(await nextCase(newKey())));
    } catch (error) {
      const problem = asProblem(error);
      if (problem.code === 'QUEUE_EMPTY') void message.info(t('reader:queue.nothingNext'));
      else void message.error(plainWords(problem));
      return false;
    }
  }, [once, taken, message, t]);

  const over = useCallback(
    async (id: string, reason: string) => {
      await once(id, async () => taken(await takeOver(id, reason, newKey())));
    },
    [once, taken],
  );

  return { busy, look, claim, next, takeOver: over };
}
