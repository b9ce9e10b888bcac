// What stands over an image: whose it is, which it is, how it is shown; and honestly what is not there yet.
import { useTranslation } from 'react-i18next';

import { dot, normalOf, planeOf, scaleBar } from '../dicom/geometry';
import { dateText, number, personName, text, timeText } from '../dicom/json';
import type { Frame } from '../dicom/model';
import type { Engine } from '../engine/engine';
import type { Pane } from '../engine/pane';
import type { PaneView } from '../engine/paneView';
import { useSignal } from '../engine/signal';
import { parseCut } from '../mpr/cuts';

export function Overlay({ engine, pane }: { engine: Engine; pane: Pane }) {
  const view = useSignal(pane.view);
  const { overlays, keyImages } = useSignal(engine.state);
  const frame = view.stack?.frames[view.index] ?? view.stack?.frames[0] ?? null;
  const isKey = frame !== null && keyImages.some((key) => key.sop === frame.sop && key.frame === frame.frame);
  return (
    <div className="mrv-overlay">
      {overlays && frame && <Corners frame={frame} view={view} />}
      {overlays && view.letters && <Letters letters={view.letters} />}
      {overlays && <Scale view={view} element={engine.viewportOf(pane.key)?.element ?? null} />}
      {isKey && <KeySign />}
      {view.stack?.prior && <PriorSign later={engine.later.has(view.stack.study)} />}
      <Waiting engine={engine} view={view} />
    </div>
  );
}

/** The line of a corner that goes first when a pane is small. */
const MINOR: Record<string, number> = { topLeft: 1, topRight: 0 };

function Corners({ frame, view }: { frame: Frame; view: PaneView }) {
  const { t } = useTranslation('viewer');
  const { set } = frame;
  const name = personName(set, '00100010');
  const age = text(set, '00101010');
  const sex = text(set, '00100040');
  const stack = view.stack;
  const cut = parseCut(frame.imageId);
  const place = placeOf(frame, cut !== null);
  const plane = cut ? planeOf(frame.orientation) : null;
  const lines = {
    topLeft: [
      name ? name.first : t('viewer:overlay.noName'),
      name?.second ?? '',
      [text(set, '00100020'), sex && (sex === 'M' ? t('viewer:overlay.male') : sex === 'F' ? t('viewer:overlay.female') : sex), age?.replace(/^0+/, '')].filter(Boolean).join(' · '),
    ],
    topRight: [
      text(set, '00080080') ?? '',
      [dateText(text(set, '00080022') ?? text(set, '00080020')), timeText(text(set, '00080032') ?? text(set, '00080030'))].filter(Boolean).join(' '),
      [stack?.modality, stack?.bodyPart, stack?.laterality, stack?.view].filter(Boolean).join(' '),
    ],
    bottomLeft: [
      stack ? [`S${stack.seriesNumber}`, plane ? t(`viewer:plane.${plane}`) : stack.description].filter(Boolean).join(' ') : '',
      t('viewer:overlay.image', { index: view.index + 1, count: Math.max(stack?.expected ?? 0, stack?.frames.length ?? 0) }),
      millimetres(place === null ? '' : `${t('viewer:overlay.place')} ${place.toFixed(1)}`, frame.thickness ? `${t('viewer:overlay.thickness')} ${frame.thickness.toFixed(1)}` : ''),
    ],
    bottomRight: [
      view.window ? `${t('viewer:overlay.window')} ${view.window.width.toFixed(0)} / ${view.window.centre.toFixed(0)}` : '',
      `${t('viewer:overlay.zoom')} ${(view.zoom * 100).toFixed(0)} %`,
      view.cine > 0 ? t('viewer:overlay.rate', { rate: Math.round(view.cine) }) : '',
      frame.calibration === 'detector' ? t('viewer:measure.detector') : frame.calibration === 'none' && stack?.modality !== 'US' ? t('viewer:measure.uncalibrated') : '',
    ],
  };
  return (
    <>
      {Object.entries(lines).map(([corner, texts]) => (
        <div key={corner} className={`mrv-corner mrv-${corner}`}>
          {texts.map(
            (line, at) =>
              line && (
                <div key={at} dir="auto" className={MINOR[corner] === at ? 'mrv-minor' : undefined}>
                  {line}
                </div>
              ),
          )}
        </div>
      ))}
    </>
  );
}

/** Places and thicknesses in one line, with their unit once. */
function millimetres(...parts: string[]): string {
  const said = parts.filter(Boolean).join(' · ');
  return said && `${said} mm`;
}

/** The place along the normal: as the device says, else reckoned. */
function placeOf(frame: Frame, cut: boolean): number | null {
  if (!frame.position || !frame.orientation) return null;
  const said = cut ? null : number(frame.set, '00201041');
  return said ?? Math.round(dot(frame.position, normalOf(frame.orientation)) * 10) / 10 + 0;
}

function Letters({ letters }: { letters: NonNullable<PaneView['letters']> }) {
  return (
    <>
      {(['top', 'right', 'bottom', 'left'] as const).map((side) => (
        <span key={side} className={`mrv-letter mrv-letter-${side}`}>
          {letters[side]}
        </span>
      ))}
    </>
  );
}

function Scale({ view, element }: { view: PaneView; element: HTMLElement | null }) {
  const bar = view.pixelsPerMillimetre && element && view.shown !== null ? scaleBar(view.pixelsPerMillimetre, element.clientHeight) : null;
  if (!bar) return null;
  const text = bar.millimetres >= 10 ? `${bar.millimetres / 10} cm` : `${bar.millimetres} mm`;
  return (
    <div className="mrv-scale" style={{ height: bar.pixels }}>
      <span>{text}</span>
    </div>
  );
}

function KeySign() {
  const { t } = useTranslation('viewer');
  return <span className="mrv-keysign">★ {t('viewer:overlay.keyImage')}</span>;
}

function PriorSign({ later }: { later: boolean }) {
  const { t } = useTranslation('viewer');
  return <span className="mrv-priorsign">{t(later ? 'viewer:overlay.later' : 'viewer:overlay.prior')}</span>;
}

/** The image that is wanted is not there: which it is, and what is shown in its place. */
function Waiting({ engine, view }: { engine: Engine; view: PaneView }) {
  const { t } = useTranslation('viewer');
  const { stack, index, shown } = view;
  if (!stack || (shown === index && shown !== null)) return null;
  const state = engine.scheduler.stateOf(stack.id, index);
  const words =
    state === 'failed'
      ? t('viewer:waiting.failed', { index: index + 1 })
      : shown === null
        ? t('viewer:waiting.first')
        : t('viewer:waiting.neighbour', { index: index + 1, shown: shown + 1 });
  return (
    <div className={shown === null ? 'mrv-waiting' : 'mrv-waiting mrv-neighbour'} role="status">
      <span>{words}</span>
      {state === 'failed' && (
        <button type="button" onClick={() => engine.scheduler.retry()}>
          {t('viewer:waiting.again')}
        </button>
      )}
    </div>
  );
}
