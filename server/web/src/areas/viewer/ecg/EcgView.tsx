// An ECG drawn to scale: speed, gain and layout to choose, calipers to measure with.
import { Segmented, Select } from 'antd';
import { useCallback, useEffect, useMemo, useRef, useState, type PointerEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { dateText, inlineBytes, personName, sequence, text, timeText, type Attributes } from '../dicom/json';
import { instancePath } from '../dicom/model';
import { askBulk } from '../dicom/web';
import type { EcgMark } from '../types';

import { draw, inDark, LEFT, onPaper, ROW } from './draw';
import { beats, cautionOf, corrected, rowsOf, secondsOf, type LayoutName, type Paper, type Row } from './scale';
import { ecgOf, type Ecg } from './waveform';

interface Props {
  set: Attributes;
  /** Of this screen, as its check gave it; `null` without one: then 96 dots to the inch are taken. */
  pixelsPerMillimetre: number | null;
  marks: EcgMark[];
  readOnly: boolean;
  onMarks(marks: EcgMark[]): void;
}

const DPI_96 = 96 / 25.4;
const KINDS: EcgMark['kind'][] = ['RR', 'PR', 'QRS', 'QT', 'free'];

/** The bytes of a waveform group, wherever they stand. */
async function bytesOf(set: Attributes, group: Attributes, at: number, signal: AbortSignal): Promise<Uint8Array> {
  const data = group['54001010'];
  const inline = inlineBytes(data);
  if (inline) return inline;
  const path = instancePath(text(set, '0020000D') ?? '', text(set, '0020000E') ?? '', text(set, '00080018') ?? '');
  return askBulk(data?.BulkDataURI ?? `${path}/bulkdata/54000100/${at + 1}/54001010`, signal);
}

function useEcg(set: Attributes): { ecg: Ecg | null; failed: boolean } {
  const [state, setState] = useState<{ ecg: Ecg | null; failed: boolean }>({ ecg: null, failed: false });
  useEffect(() => {
    const control = new AbortController();
    const groups = sequence(set, '54000100');
    // The rhythm, not the median beat: the group that lasts longest.
    const lasting = (group: Attributes) => Number(text(group, '003A0010') ?? 0) / Number(text(group, '003A001A') ?? 1);
    const at = groups.reduce((best, group, place) => (lasting(group) > lasting(groups[best] as Attributes) ? place : best), 0);
    const group = groups[at];
    setState({ ecg: null, failed: !group });
    if (!group) return undefined;
    bytesOf(set, group, at, control.signal).then(
      (bytes) => {
        const ecg = ecgOf(set, group, bytes);
        setState({ ecg, failed: ecg === null });
      },
      () => {
        if (!control.signal.aborted) setState({ ecg: null, failed: true });
      },
    );
    return () => control.abort();
  }, [set]);
  return state;
}

/** How wide an element is, as it changes. */
function useWidth(): [(element: HTMLElement | null) => void, number] {
  const [width, setWidth] = useState(0);
  const watched = useRef<ResizeObserver | null>(null);
  const watch = useCallback((element: HTMLElement | null) => {
    watched.current?.disconnect();
    watched.current = element ? new ResizeObserver(() => setWidth(element.clientWidth)) : null;
    if (element) watched.current?.observe(element);
  }, []);
  return [watch, width];
}

export function EcgView({ set, pixelsPerMillimetre: checked, marks, readOnly, onMarks }: Props) {
  const { t } = useTranslation('viewer');
  const { ecg, failed } = useEcg(set);
  const [speed, setSpeed] = useState(25);
  const [gain, setGain] = useState(10);
  const [layout, setLayout] = useState<LayoutName>('3x4+1');
  const [kind, setKind] = useState<EcgMark['kind']>('RR');
  const [dark, setDark] = useState(false);
  const [fitted, setFitted] = useState(false);
  const [watch, room] = useWidth();
  const [own, setOwn] = useState<EcgMark[]>(marks);
  const canvas = useRef<HTMLCanvasElement>(null);
  const sop = text(set, '00080018') ?? '';
  const millimetres = ecg ? LEFT + ecg.seconds * speed + 4 : 0;
  const pixelsPerMillimetre = fitted && room > 0 && millimetres > 0 ? room / millimetres : (checked ?? DPI_96);
  const paper: Paper = useMemo(() => ({ speed, gain, pixels: pixelsPerMillimetre }), [speed, gain, pixelsPerMillimetre]);
  const rows = useMemo(() => (ecg ? rowsOf(ecg, layout) : []), [ecg, layout]);
  const width = Math.floor(millimetres * pixelsPerMillimetre);
  const height = Math.ceil(rows.length * ROW * pixelsPerMillimetre);
  const ours = useMemo(() => own.filter((mark) => mark.sop === sop), [own, sop]);
  const rr = ours.filter((mark) => mark.kind === 'RR').at(-1);
  const captions = useMemo(() => new Map(ours.map((mark) => [mark.id, captionOf(mark, rr)])), [ours, rr]);
  useEffect(() => setOwn(marks), [marks]);

  useEffect(() => {
    const surface = canvas.current;
    if (!surface || !ecg) return;
    const ratio = window.devicePixelRatio || 1;
    surface.width = width * ratio;
    surface.height = height * ratio;
    const context = surface.getContext('2d');
    if (!context) return;
    context.scale(ratio, ratio);
    draw(context, { rows, paper, colours: dark ? inDark : onPaper, width, height, rate: ecg.rate, marks: ours, captions });
  }, [ecg, rows, paper, dark, width, height, ours, captions]);

  const calipers = useCalipers({ rows, paper, sop, kind, own, readOnly, setOwn, onMarks });
  if (failed) return <p className="mrv-document">{t('viewer:ecg.failed')}</p>;
  if (!ecg) return <p className="mrv-document" role="status">{t('viewer:waiting.first')}</p>;
  const caution = cautionOf(ecg);
  const first = ecg.leads[0];
  const name = personName(set, '00100010');
  const said = [
    name?.first ?? '', text(set, '00100020') ?? '', dateText(text(set, '00080020')) ?? '', timeText(text(set, '00080030')) ?? '',
    `${speed} mm/s`, `${gain} mm/mV`, `${ecg.rate} Hz`,
    first?.low !== null || first?.high !== null ? t('viewer:ecg.filter', { low: first?.low ?? '–', high: first?.high ?? '–' }) : t('viewer:ecg.noFilter'),
    first?.notch ? t('viewer:ecg.notch', { notch: first.notch }) : '',
  ];
  return (
    <div className="mrv-ecg">
      <div className="mrv-ecgbar" role="toolbar" aria-label={t('viewer:ecg.toolbar')}>
        <Select size="small" value={speed} onChange={setSpeed} aria-label={t('viewer:ecg.speed')} options={[12.5, 25, 50].map((value) => ({ value, label: `${value} mm/s` }))} />
        <Select size="small" value={gain} onChange={setGain} aria-label={t('viewer:ecg.gain')} options={[5, 10, 20].map((value) => ({ value, label: `${value} mm/mV` }))} />
        <Segmented size="small" value={layout} onChange={setLayout} options={['3x4+1', '6x2', '12x1'] satisfies LayoutName[]} aria-label={t('viewer:toolbar.layout')} />
        {!readOnly && <Segmented size="small" value={kind} onChange={setKind} options={KINDS.map((value) => ({ value, label: value === 'free' ? t('viewer:ecg.free') : value }))} aria-label={t('viewer:ecg.caliper')} />}
        {!readOnly && ours.length > 0 && (
          <button type="button" className="mrv-tool mrv-wide" onClick={() => calipers.keep(own.filter((mark) => mark !== ours.at(-1)))}>
            {t('viewer:ecg.remove')}
          </button>
        )}
        <button type="button" className="mrv-tool mrv-wide" aria-pressed={fitted} onClick={() => setFitted(!fitted)}>
          {t('viewer:ecg.fit')}
        </button>
        <button type="button" className="mrv-tool mrv-wide" aria-pressed={dark} onClick={() => setDark(!dark)}>
          {t('viewer:ecg.dark')}
        </button>
        <span>{said.filter(Boolean).join(' · ')}</span>
      </div>
      {caution && <p role="alert" className="mrv-bad">{t(caution === 'low' ? 'viewer:ecg.low' : 'viewer:ecg.refused')}</p>}
      <div className="mrv-ecgpaper" ref={watch} role="group" aria-label={t('viewer:ecg.paper')} tabIndex={0}>
        <canvas
          ref={canvas}
          role="img"
          aria-label={t('viewer:ecg.name', { count: ecg.leads.length, seconds: ecg.seconds.toFixed(1) })}
          style={{ width, height, touchAction: readOnly ? 'auto' : 'pan-y' }}
          onPointerDown={calipers.down}
          onPointerMove={calipers.move}
          onPointerUp={calipers.up}
        />
      </div>
      <p className="mrv-small">
        {fitted ? `${t('viewer:ecg.fitted')} ` : checked === null && `${t('viewer:ecg.unchecked')} `}
        {ecg.leads.some((lead) => lead.derived) && `${t('viewer:ecg.derived')} `}
        {ecg.notes.join('；')}
      </p>
      <ul className="visually-hidden">
        {ours.map((mark) => (
          <li key={mark.id}>
            {mark.lead} {captions.get(mark.id)}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** What stands at a pair of calipers. */
function captionOf(mark: EcgMark, rr: EcgMark | undefined): string {
  const seconds = Math.abs(mark.to - mark.from);
  const time = `${mark.kind === 'free' ? '' : `${mark.kind} `}${Math.round(seconds * 1_000)} ms`;
  const rate = mark.kind === 'RR' ? beats(seconds) : null;
  if (rate !== null) return `${time} · ${Math.round(rate)} bpm`;
  if (mark.kind !== 'QT' || !rr) return time;
  const interval = Math.abs(rr.to - rr.from);
  const [bazett, fridericia] = [corrected(seconds, interval, 'bazett'), corrected(seconds, interval, 'fridericia')];
  return bazett === null || fridericia === null ? time : `${time} · QTcB ${Math.round(bazett * 1_000)} · QTcF ${Math.round(fridericia * 1_000)}`;
}

interface CaliperProps {
  rows: readonly Row[];
  paper: Paper;
  sop: string;
  kind: EcgMark['kind'];
  own: EcgMark[];
  readOnly: boolean;
  setOwn(marks: EcgMark[]): void;
  onMarks(marks: EcgMark[]): void;
}

/** Drawing calipers with the pointer; the ends of those that stand can be taken and moved. */
function useCalipers({ rows, paper, sop, kind, own, readOnly, setOwn, onMarks }: CaliperProps) {
  const held = useRef<{ id: string; end: 'from' | 'to' } | null>(null);
  const keep = (marks: EcgMark[]) => {
    setOwn(marks);
    onMarks(marks);
  };
  const placeOf = (event: PointerEvent<HTMLCanvasElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    const row = rows[Math.floor((event.clientY - box.top) / (ROW * paper.pixels))];
    const inRow = secondsOf(event.clientX - box.left - LEFT * paper.pixels, paper);
    const strip = row?.strips.find((one) => inRow >= one.at && inRow <= one.at + one.to - one.from);
    return strip ? { lead: strip.lead.name, seconds: strip.from + inRow - strip.at } : null;
  };
  return {
    keep,
    down(event: PointerEvent<HTMLCanvasElement>) {
      const place = readOnly ? null : placeOf(event);
      if (!place) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      const near = secondsOf(6, paper);
      for (const mark of own) {
        for (const end of ['from', 'to'] as const) {
          if (mark.sop === sop && mark.lead === place.lead && Math.abs(mark[end] - place.seconds) < near) {
            held.current = { id: mark.id, end };
            return;
          }
        }
      }
      const id = crypto.randomUUID();
      held.current = { id, end: 'to' };
      setOwn([...own, { id, sop, kind, lead: place.lead, from: place.seconds, to: place.seconds }]);
    },
    move(event: PointerEvent<HTMLCanvasElement>) {
      const now = held.current;
      const place = now ? placeOf(event) : null;
      if (!now || !place) return;
      setOwn(own.map((mark) => (mark.id === now.id ? { ...mark, [now.end]: place.seconds } : mark)));
    },
    up() {
      if (!held.current) return;
      held.current = null;
      // A click without a way is no measurement.
      keep(own.filter((mark) => Math.abs(mark.to - mark.from) > 0.005));
    },
  };
}
