// The images of a case with those of before; marks and measurements are saved with the draft and come back.
import { useQuery } from '@tanstack/react-query';
import { Button, Skeleton } from 'antd';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { asProblem } from '@/api/problem';
import { useChecked, useKeymap } from '@/areas/account/liking';
import { Viewer, type KeyChanges, type StudyRef, type ViewState } from '@/areas/viewer';
import { isLater } from '@/areas/viewer/later';
import { readViewState } from '@/areas/viewer/state/viewState';
import { Guard } from '@/shared/Guard';
import { memoByInput } from '@/shared/memo';
import { usePreference } from '@/shared/preferences';

import { readAnnotations, reportAnnotations, saveAnnotations, type CaseDetail, type Prior, type Proof } from '../api';
import { priorLabel } from './Priors';
import { usePriors } from './useCase';

const PAUSE = 3_000;
const PATIENCE = 500;
const readChanges = memoByInput((value: unknown): KeyChanges => {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, string[]] => Array.isArray(entry[1])));
});

/** Whether earlier examinations are known, or are taking too long to wait for: a viewer that has begun would begin again with them. */
function usePriorsSettled(settled: boolean): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), PATIENCE);
    return () => clearTimeout(timer);
  }, []);
  return settled || late;
}

/** Saves marks a moment after the last change, one request at a time; what fails is tried again with the next change. */
function useSavingMarks(id: string, proof: Proof | null): (state: ViewState) => void {
  const latest = useRef<ViewState | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const busy = useRef(false);
  const held = useRef(proof);
  held.current = proof;
  const save = useCallback(async () => {
    const state = latest.current;
    if (!state || !held.current || busy.current) return;
    busy.current = true;
    latest.current = null;
    let wait = PAUSE;
    try {
      await saveAnnotations(id, held.current, state);
    } catch (error) {
      if (asProblem(error).passing) {
        latest.current ??= state;
        wait = 10_000;
      }
    } finally {
      busy.current = false;
    }
    if (latest.current) timer.current = setTimeout(() => void save(), wait);
  }, [id]);
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      void save();
    },
    [save],
  );
  return useCallback(
    (state: ViewState) => {
      latest.current = state;
      clearTimeout(timer.current);
      timer.current = setTimeout(() => void save(), PAUSE);
    },
    [save],
  );
}

function studiesOf(detail: CaseDetail, priors: readonly Prior[], now: string): StudyRef[] {
  const { study } = detail;
  const own = { id: study.id, uid: study.uid, label: `${now} ${study.description || study.body_part || ''}`, prior: false, modality: study.modality, bodyPart: study.body_part ?? null };
  const before = priors.map((prior) => ({ id: prior.study, uid: prior.study_uid, label: priorLabel(prior), prior: true, later: isLater(prior.study_date, study.study_date), modality: prior.modality, bodyPart: prior.body_part }));
  return [own, ...before];
}

interface Props {
  detail: CaseDetail;
  proof: Proof | null;
  /** The report whose marks are shown when the case is signed. */
  report: string | null;
  /** Which share of the images has been on a screen, 0..1. */
  onSeen: (share: number) => void;
}

export function CaseViewer({ detail, proof, report, onSeen }: Props) {
  const { t } = useTranslation('reader');
  const { id } = detail.case;
  const { data: priors, isPending } = usePriors(id);
  const ready = usePriorsSettled(!isPending);
  const [keymap] = useKeymap();
  const [checked] = useChecked();
  const [changes, setChanges] = usePreference('viewer.keys', readChanges);
  const marks = useQuery({
    queryKey: ['case', id, 'marks', report],
    // Marks that are not there, or not for us, are no marks.
    queryFn: async () => readViewState((await (report ? reportAnnotations(report) : readAnnotations(id)).catch(() => ({ body: null }))).body),
    staleTime: Infinity,
    gcTime: 0,
  });
  const now = t('reader:priors.now');
  const studies = useMemo(() => studiesOf(detail, priors ?? [], now), [detail, priors, now]);
  const save = useSavingMarks(id, proof);
  if (marks.isPending || !ready) return <Skeleton active style={{ padding: 16 }} />;
  const failed = (_: unknown, again: () => void) => (
    <div className="case-failed" role="alert">
      <p>{t('reader:case.noImages')}</p>
      <Button onClick={again}>{t('shared:again')}</Button>
    </div>
  );
  return (
    <Guard failed={failed}>
      <Viewer
        studies={studies}
        keymap={keymap}
        keyChanges={changes}
        onKeyChanges={setChanges}
        onSeen={onSeen}
        annotations={marks.data ?? null}
        onAnnotations={save}
        readOnly={proof === null}
        caseId={id}
        {...(checked?.pxPerMm ? { pixelsPerMillimetre: checked.pxPerMm } : {})}
      />
    </Guard>
  );
}
