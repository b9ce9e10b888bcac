// Signing: the last look when something is open, the second proof by itself, never twice, and on to the next case.
import { useNavigate } from '@tanstack/react-router';
import { App } from 'antd';
import { useCallback, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { asProblem, type Problem } from '@/api/problem';
import { newKey } from '@/api/request';
import { queries } from '@/app/queries';
import { plainWords } from '@/shared/Trouble';

import { nextCase, signReport, type CaseDetail, type Proof, type Report } from '../api';
import { dropProof, keepProof } from '../case/claims';
import { refreshCase } from '../case/useCase';
import { warningsOf, type Warning } from './checks';
import type { Keeper } from './keeper';
import type { Critical } from './SignDialog';

export interface Signing {
  /** The dialogue that is open: whether it goes on to the next case. */
  asking: { next: boolean } | null;
  warnings: Warning[];
  busy: boolean;
  fault: string | null;
  /** Signs, or asks first when something has to be looked at. */
  ask: (next: boolean) => void;
  confirm: () => void;
  close: () => void;
}

interface About {
  detail: CaseDetail | undefined;
  keeper: Keeper | null;
  proof: Proof | null;
  critical: Critical;
  raised: boolean;
  onLost: (problem: Problem) => void;
  onSigned: (report: Report) => void;
}

export function useSigning({ detail, keeper, proof, critical, raised, onLost, onSigned }: About): Signing {
  const { t } = useTranslation('reader');
  const { message } = App.useApp();
  const navigate = useNavigate();
  const [asking, setAsking] = useState<Signing['asking']>(null);
  const [warnings, setWarnings] = useState<Warning[]>([]);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const running = useRef(false);
  // One key for one text under one claim: whether the first try arrived or not, the report is signed once.
  const intention = useRef<{ what: string; key: string } | null>(null);

  const goOn = useCallback(async () => {
    try {
      const claim = await nextCase(newKey());
      keepProof(claim);
      await navigate({ to: '/case/$id', params: { id: claim.case.id } });
    } catch (error) {
      const problem = asProblem(error);
      void message.info(problem.code === 'QUEUE_EMPTY' ? t('reader:queue.nothingNext') : plainWords(problem));
      await navigate({ to: '/queue' });
    }
  }, [message, navigate, t]);

  const sign = useCallback(
    async (next: boolean) => {
      if (!detail || !keeper || !proof || running.current) return;
      running.current = true;
      setBusy(true);
      setFault(null);
      const id = detail.case.id;
      const { text } = keeper.now();
      const what = JSON.stringify([id, proof.fence, text]);
      if (intention.current?.what !== what) intention.current = { what, key: newKey() };
      try {
        const report = await signReport(id, proof, text, intention.current.key);
        keeper.done();
        dropProof(id);
        setAsking(null);
        refreshCase(id);
        void queries.invalidateQueries({ queryKey: ['queue'] });
        onSigned(report);
        void message.success(t('reader:sign.done', { number: report.report_number }));
        if (next) await goOn();
      } catch (error) {
        const problem = asProblem(error);
        if (problem.code === 'CLAIM_LOST' || problem.code === 'LEASE_LOST') {
          setAsking(null);
          onLost(problem);
        } else {
          setFault(plainWords(problem));
          setAsking((before) => before ?? { next });
        }
      } finally {
        running.current = false;
        setBusy(false);
      }
    },
    [detail, keeper, proof, goOn, message, onLost, onSigned, t],
  );

  const ask = useCallback(
    (next: boolean) => {
      if (!detail || !keeper || !proof || asking) return;
      const { study, order } = detail;
      const asked = [study.body_part, study.description, order?.body_part, order?.question].filter(Boolean).join(' ');
      const found = warningsOf(keeper.now().text, { sex: order?.patient_sex ?? study.patient_sex ?? null, asked });
      setWarnings(found);
      setFault(null);
      if (found.length === 0 && critical !== null && (critical === 'no' || raised)) void sign(next);
      else setAsking({ next });
    },
    [detail, keeper, proof, asking, critical, raised, sign],
  );

  return { asking, warnings, busy, fault, ask, confirm: () => asking && void sign(asking.next), close: () => setAsking(null) };
}
