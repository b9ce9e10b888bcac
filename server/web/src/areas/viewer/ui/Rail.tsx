// The rail of series: thumbnails by study, how much of each is there, dragged or clicked into panes.
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Stack } from '../dicom/model';
import { instancePath } from '../dicom/model';
import type { Engine } from '../engine/engine';
import type { Progress } from '../engine/schedule';
import { usePart, useSignal } from '../engine/signal';
import type { StudyRef } from '../types';

import { DRAGGED } from './PaneBox';

export function Rail({ engine, studies }: { engine: Engine; studies: readonly StudyRef[] }) {
  const { t } = useTranslation('viewer');
  const { stacks, waiting, problem } = useSignal(engine.library.state);
  const progress = useSignal(engine.progress);
  return (
    <nav className="mrv-rail" aria-label={t('viewer:rail.name')}>
      {studies.map((study) => (
        <section key={study.uid} aria-label={study.label}>
          <h3 dir="auto">
            {study.prior && <span className="mrv-tag">{t(study.later ? 'viewer:overlay.later' : 'viewer:overlay.prior')}</span>}
            {study.label}
          </h3>
          {waiting.includes(study.uid) && <p role="status">{t('viewer:rail.loading')}</p>}
          {stacks
            .filter((stack) => stack.study === study.uid)
            .map((stack) => (
              <Card key={stack.id} engine={engine} stack={stack} progress={progress.get(stack.id)} />
            ))}
          {!waiting.includes(study.uid) && !stacks.some((stack) => stack.study === study.uid) && <p>{problem ? problem.message : t('viewer:rail.empty')}</p>}
        </section>
      ))}
      <Memory engine={engine} />
    </nav>
  );
}

function thumbnailOf(stack: Stack): string {
  const frame = stack.frames[Math.floor((stack.frames.length - 1) / 2)];
  const base = frame && stack.id.includes('/') ? instancePath(frame.study, frame.series, frame.sop) : `/dicomweb/studies/${stack.study}/series/${stack.series}`;
  return `${base}/thumbnail?viewport=128,128`;
}

function Card({ engine, stack, progress }: { engine: Engine; stack: Stack; progress: Progress | undefined }) {
  const { t } = useTranslation('viewer');
  const active = usePart(engine.state, (state) => state.active);
  const shown = usePart((engine.panes[active] ?? engine.active).view, (view) => view.stack?.id === stack.id);
  const [broken, setBroken] = useState(false);
  const total = Math.max(stack.expected, progress?.total ?? 0);
  const there = progress?.there ?? 0;
  const isImage = stack.kind === 'images' || stack.kind === 'clip';
  const name = stack.description || stack.protocol || stack.modality;
  return (
    <button
      type="button"
      className={shown ? 'mrv-card mrv-chosen' : 'mrv-card'}
      aria-pressed={shown}
      draggable
      onDragStart={(event) => event.dataTransfer.setData(DRAGGED, stack.id)}
      onClick={() => engine.choose(engine.state.get().active, stack.id)}
      title={[name, stack.protocol, stack.bodyPart].filter(Boolean).join(' · ')}
    >
      {isImage && stack.modality !== 'ECG' && !broken ? (
        <img src={thumbnailOf(stack)} alt="" loading="lazy" decoding="async" draggable={false} onError={() => setBroken(true)} />
      ) : (
        <span className="mrv-noimage">{stack.kind === 'ecg' ? t('viewer:rail.ecg') : stack.kind === 'document' ? t('viewer:rail.document') : stack.modality}</span>
      )}
      <span className="mrv-cardtext">
        <span className="mrv-cardname" dir="auto">
          {name}
        </span>
        <span>
          {stack.modality}
          {isImage && ` · ${stack.kind === 'clip' ? t('viewer:rail.clip', { count: total }) : t('viewer:rail.images', { count: total })}`}
        </span>
        {isImage && total > 0 && (
          <span className="mrv-progress" role="progressbar" aria-label={t('viewer:rail.progress')} aria-valuemin={0} aria-valuemax={total} aria-valuenow={there}>
            <span style={{ width: `${(there / total) * 100}%` }} />
          </span>
        )}
        {progress !== undefined && progress.failed > 0 && <span className="mrv-bad">{t('viewer:rail.failed', { count: progress.failed })}</span>}
        {isImage && progress?.limited === true && <span className="mrv-small">{t('viewer:rail.limited', { there, total })}</span>}
      </span>
    </button>
  );
}

/** What is kept in memory, said as it is. */
function Memory({ engine }: { engine: Engine }) {
  const { t } = useTranslation('viewer');
  useSignal(engine.progress);
  const { bytes, budget, images } = engine.scheduler.memory();
  return <p className="mrv-small">{t('viewer:rail.memory', { images, used: Math.round(bytes / 1_048_576), most: Math.round(budget / 1_048_576) })}</p>;
}
