// The viewer in a window of its own, for the second screen: shows what the case page shows, or the case of its address when alone.
import { useParams } from '@tanstack/react-router';
import { useCallback, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { request } from '@/api/request';
import { dicomDay } from '@/shared/time';

import { loadViewer, prefetchWords, Viewer } from '../index';
import { isLater } from '../later';
import type { StudyRef, ViewState } from '../types';

import { openChannel, type CaseShown } from './channel';

/** How long the case page has to answer, in milliseconds, before the relay's answer is taken. */
const ANSWER = 80;

export function SecondWindow() {
  const { t } = useTranslation('viewer');
  const { case: caseId } = useParams({ strict: false }) as { case: string };
  const [shown, setShown] = useState<CaseShown | null>(null);
  const [failed, setFailed] = useState(false);
  const channel = useRef<ReturnType<typeof openChannel> | null>(null);

  useEffect(() => {
    let answered = false;
    const open = openChannel((word) => {
      if (word.kind === 'case') {
        answered = true;
        setShown(word.shown);
        history.replaceState(history.state, '', `/viewer/${word.shown.caseId}`);
      } else if (word.kind === 'state' && word.from === 'page') {
        setShown((now) => (now && now.caseId === word.caseId ? { ...now, state: word.state } : now));
      }
    });
    channel.current = open;
    open.say({ kind: 'hello' });
    void loadViewer().catch(() => undefined);
    // Asked for meanwhile: mostly nobody answers, and the first image must not wait for that.
    const asked = ask(caseId);
    asked.then(({ studies }) => studies[0] && prefetchWords(studies[0].uid), () => undefined);
    const timer = setTimeout(() => {
      if (!answered) asked.then((found) => setShown((now) => now ?? found), () => setFailed(true));
    }, ANSWER);
    const bye = () => open.say({ kind: 'bye' });
    window.addEventListener('pagehide', bye);
    return () => {
      clearTimeout(timer);
      window.removeEventListener('pagehide', bye);
      bye();
      open.close();
      channel.current = null;
    };
  }, [caseId]);

  const marked = useCallback(
    (state: ViewState) => {
      if (shown) channel.current?.say({ kind: 'state', caseId: shown.caseId, from: 'second', state });
    },
    [shown],
  );

  const seen = useCallback(
    (share: number) => {
      if (shown) channel.current?.say({ kind: 'seen', caseId: shown.caseId, share });
    },
    [shown],
  );

  if (failed && !shown) return <p role="alert">{t('viewer:second.failed')}</p>;
  if (!shown) return <p role="status">{t('viewer:waiting.first')}</p>;
  return (
    <div style={{ height: '100vh' }}>
      <Viewer
        studies={shown.studies}
        keymap={shown.keymap}
        keyChanges={shown.keyChanges ?? {}}
        annotations={shown.state}
        readOnly={shown.readOnly}
        onAnnotations={marked}
        onSeen={seen}
        {...(shown.pixelsPerMillimetre ? { pixelsPerMillimetre: shown.pixelsPerMillimetre } : {})}
      />
    </div>
  );
}

interface CaseAnswer {
  study: { id: string; uid: string; modality?: string | null; modalities?: string[]; body_part?: string | null; description?: string | null; study_date?: string | null };
}

interface PriorAnswer {
  items: { study: string; study_uid: string; modality: string; body_part: string | null; description: string | null; study_date: string | null }[];
}

/** The case by itself: for looking only, since whoever reads it has the case page. */
async function ask(caseId: string): Promise<CaseShown> {
  const [found, priors, saved] = await Promise.all([
    request<CaseAnswer>('GET', `/api/v1/cases/${caseId}`),
    request<PriorAnswer>('GET', `/api/v1/cases/${caseId}/priors`).catch(() => ({ items: [] })),
    request<{ body: ViewState | null }>('GET', `/api/v1/cases/${caseId}/annotations`).catch(() => ({ body: null })),
  ]);
  const label = (one: { study_date?: string | null; description?: string | null; modality?: string | null }) =>
    [dicomDay(one.study_date), one.description || one.modality].filter(Boolean).join(' ');
  const studies: StudyRef[] = [
    { id: found.study.id, uid: found.study.uid, label: label(found.study), prior: false, modality: found.study.modality ?? found.study.modalities?.[0] ?? '', bodyPart: found.study.body_part ?? null },
    ...priors.items.map((prior) => ({ id: prior.study, uid: prior.study_uid, label: label(prior), prior: true, later: isLater(prior.study_date, found.study.study_date), modality: prior.modality, bodyPart: prior.body_part })),
  ];
  return { caseId, studies, keymap: 'medrelay', keyChanges: null, readOnly: true, pixelsPerMillimetre: null, state: saved.body };
}
