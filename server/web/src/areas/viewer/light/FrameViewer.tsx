// The light viewer of phones and weak machines: pictures that the relay renders, swiped through, zoomed with two fingers.
import { useQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { Parts } from '@/shared/Parts';

import { seriesOf, metadataOf, countOf } from '../dicom/kept';
import { stacksOf, type Frame, type Stack } from '../dicom/model';
import { dateText, number, numbers, personName, text } from '../dicom/json';
import { instancePath } from '../dicom/model';
import type { StudyRef } from '../types';

import { useGestures } from './useGestures';
import './light.css';

const PRESETS = [
  { name: 'abdomen', width: 400, centre: 50 },
  { name: 'lung', width: 1500, centre: -600 },
  { name: 'bone', width: 2000, centre: 400 },
  { name: 'brain', width: 80, centre: 40 },
] as const;

interface Shown {
  centre: number;
  width: number;
}

/** Where grey values have no scale of their own, as in MR and X-ray: lighter, darker, harder and softer than the image's own window. */
function around(centre: number | undefined, width: number | undefined, inverted: boolean): (Shown & { name: string })[] {
  if (centre === undefined || !width || width < 4) return [];
  const at = (name: string, shift: number, by: number) => ({ name, centre: Math.round(centre + (inverted ? -shift : shift) * width), width: Math.max(2, Math.round(width * by)) });
  return [at('lighter', -0.25, 1), at('darker', 0.25, 1), at('harder', 0, 0.6), at('softer', 0, 1.6)];
}

/** The address of a rendered frame; the size is rounded up so that few different ones are made. */
export function renderedPath(frame: Frame, window: Shown | null, size: number): string {
  const side = Math.min(2_048, Math.ceil(size / 256) * 256);
  const base = `${instancePath(frame.study, frame.series, frame.sop)}/frames/${frame.frame}/rendered?viewport=${side},${side}&quality=85`;
  return window ? `${base}&window=${window.centre},${window.width},linear` : base;
}

async function stacksFor(studies: readonly StudyRef[]): Promise<Stack[]> {
  const found: Stack[] = [];
  for (const study of studies) {
    for (const set of await seriesOf(study.uid)) {
      const sets = await metadataOf(study.uid, text(set, '0020000E') ?? '', countOf(set));
      found.push(...stacksOf(study.uid, study.prior, sets));
    }
  }
  return found.filter((stack) => stack.frames.length > 0);
}

export default function FrameViewer({ studies }: { studies: StudyRef[] }) {
  const { t } = useTranslation('viewer');
  const key = studies.map((study) => study.uid).join(' ');
  const { data: stacks, isError, refetch } = useQuery({ queryKey: ['light-stacks', key], queryFn: () => stacksFor(studies), staleTime: 60_000 });
  const [chosen, setChosen] = useState<string | null>(null);
  const stack = stacks?.find((one) => one.id === chosen) ?? stacks?.[0];
  if (isError) {
    return (
      <div className="mrl" role="alert">
        <p>{t('viewer:light.failed')}</p>
        <button type="button" onClick={() => void refetch()}>
          {t('viewer:waiting.again')}
        </button>
      </div>
    );
  }
  if (!stacks) return <div className="mrl" role="status">{t('viewer:waiting.first')}</div>;
  if (!stack) return <div className="mrl" role="status">{t('viewer:rail.empty')}</div>;
  return (
    <div className="mrl">
      <FrameStage key={stack.id} stack={stack} />
      <div className="mrl-series" role="listbox" aria-label={t('viewer:rail.name')}>
        {stacks.map((one) => (
          <button key={one.id} type="button" role="option" aria-selected={one.id === stack.id} onClick={() => setChosen(one.id)}>
            <img src={`${thumbnailBase(one)}/thumbnail?viewport=96,96`} alt="" loading="lazy" />
            <span dir="auto">{one.description || one.modality}</span>
            <small>{one.frames.length}</small>
          </button>
        ))}
      </div>
    </div>
  );
}

function thumbnailBase(stack: Stack): string {
  const frame = stack.frames[Math.floor((stack.frames.length - 1) / 2)] as Frame;
  return instancePath(frame.study, frame.series, frame.sop);
}

function FrameStage({ stack }: { stack: Stack }) {
  const { t } = useTranslation('viewer');
  const count = stack.frames.length;
  const [index, setIndex] = useState(stack.kind === 'clip' ? 0 : Math.floor((count - 1) / 2));
  const [window, setWindow] = useState<Shown | null>(null);
  const [arrived, setArrived] = useState<string | null>(null);
  const [broken, setBroken] = useState(false);
  const frame = stack.frames[index] as Frame;
  const size = Math.min(1_024, Math.max(globalThis.innerWidth, globalThis.innerHeight) * Math.min(2, globalThis.devicePixelRatio || 1));
  const path = renderedPath(frame, window, size);
  const step = (by: number) => setIndex((now) => Math.min(count - 1, Math.max(0, now + by)));
  const gestures = useGestures(step);
  const neighbours = useMemo(() => [1, -1, 2, -2, 3].map((by) => stack.frames[index + by]).filter((one): one is Frame => one !== undefined), [stack, index]);

  useEffect(() => {
    setBroken(false);
    if (arrived !== path) return undefined;
    // Neighbours only when the picture itself is there.
    const images = neighbours.map((one) => {
      const image = new Image();
      image.decoding = 'async';
      image.fetchPriority = 'low';
      image.src = renderedPath(one, window, size);
      return image;
    });
    return () => images.forEach((image) => image.removeAttribute('src'));
  }, [path, arrived, neighbours, window, size]);

  const name = personName(frame.set, '00100010');
  const own = numbers(frame.set, '00281050')[0];
  const ownWidth = number(frame.set, '00281051');
  const presets: readonly (Shown & { name: string })[] = stack.modality === 'CT' ? PRESETS : around(own, ownWidth ?? undefined, text(frame.set, '00280004') === 'MONOCHROME1');
  return (
    <section className="mrl-stage" aria-label={t('viewer:pane.name', { number: 1 })}>
      <div
        className="mrl-image"
        tabIndex={0}
        role="slider"
        aria-label={t('viewer:scroll.name')}
        aria-valuemin={1}
        aria-valuemax={count}
        aria-valuenow={index + 1}
        onKeyDown={(event) => {
          const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, PageDown: 10, PageUp: -10 }[event.key];
          if (by === undefined) return;
          event.preventDefault();
          step(by);
        }}
        {...gestures.handlers}
      >
        <img
          src={path}
          alt={t('viewer:overlay.image', { index: index + 1, count })}
          draggable={false}
          style={{ transform: gestures.transform }}
          onLoad={() => setArrived(path)}
          onError={() => setBroken(true)}
        />
      </div>
      <div className="mrl-text" dir="auto">
        <span>
          <Parts of={[name?.first, dateText(text(frame.set, '00080020'))]} />
        </span>
        <span>{t('viewer:overlay.image', { index: index + 1, count })}</span>
      </div>
      {arrived !== path && !broken && <span className="mrl-wait" role="status">{t('viewer:light.loading', { index: index + 1 })}</span>}
      {broken && <span className="mrl-wait" role="alert">{t('viewer:waiting.failed', { index: index + 1 })}</span>}
      <div className="mrl-tools" role="toolbar" aria-label={t('viewer:toolbar.name')}>
        <button type="button" aria-label={t('viewer:action.image_previous')} onClick={() => step(-1)}>‹</button>
        <input type="range" min={0} max={count - 1} value={index} aria-label={t('viewer:scroll.name')} onChange={(event) => setIndex(Number(event.target.value))} />
        <button type="button" aria-label={t('viewer:action.image_next')} onClick={() => step(1)}>›</button>
        <button type="button" onClick={gestures.reset}>{t('viewer:action.fit')}</button>
        {presets.length > 0 && (
          <select
            aria-label={t('viewer:toolbar.presets')}
            onChange={(event) => setWindow(presets.find((preset) => preset.name === event.target.value) ?? null)}
          >
            <option value="">{own !== undefined && ownWidth ? `${t('viewer:light.own')} ${ownWidth}/${own}` : t('viewer:light.own')}</option>
            {presets.map((preset) => (
              <option key={preset.name} value={preset.name}>
                {stack.modality === 'CT' ? `${t(`viewer:preset.${preset.name}`)} ${preset.width}/${preset.centre}` : t(`viewer:light.${preset.name}`)}
              </option>
            ))}
          </select>
        )}
      </div>
    </section>
  );
}
