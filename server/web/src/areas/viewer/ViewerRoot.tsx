// The viewer itself: rail, tool bar, panes. Fetched when it is first shown (`index.tsx`).
import { ConfigProvider, theme } from 'antd';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useArrivals } from '@/app/live';

import type { Action } from './actions';
import { Engine } from './engine/engine';
import { Session } from './engine/session';
import { usePart } from './engine/signal';
import { setWording } from './engine/tools';
import { useViewerKeys } from './keys';
import type { ViewerProps } from './types';
import { AskText } from './ui/AskText';
import { CheatSheet } from './ui/CheatSheet';
import { PaneBox } from './ui/PaneBox';
import { Rail } from './ui/Rail';
import { Toolbar } from './ui/Toolbar';
import { useSecondWindow } from './window/useSecondWindow';
import './viewer.css';

const NO_CHANGES = {};
/** Below this the rail of series is opened by hand. */
const NARROW = 700;

export default function ViewerRoot(props: ViewerProps) {
  const { studies, readOnly = false } = props;
  const { t, i18n } = useTranslation('viewer');
  const uids = studies.map((study) => study.uid).join(' ');
  const latest = useRef(props);
  latest.current = props;
  const [running, setRunning] = useState<{ engine: Engine; session: Session } | null>(null);
  const second = useSecondWindow(props, running?.session ?? null);
  const report = useRef(second.tell);
  report.current = second.tell;

  useEffect(() => {
    const engine = new Engine(latest.current.studies, latest.current.readOnly ?? false);
    const session = new Session(engine, (state) => {
      latest.current.onAnnotations?.(state);
      report.current(state);
    });
    engine.onSeen = (share) => latest.current.onSeen?.(share);
    if (latest.current.annotations) session.take(latest.current.annotations);
    setRunning({ engine, session });
    void engine.open();
    return () => {
      session.stop();
      engine.stop();
      setRunning(null);
    };
  }, [uids]);

  useEffect(() => running?.engine.setReadOnly(readOnly), [running, readOnly]);

  useEffect(() => {
    if (props.annotations) running?.session.take(props.annotations);
  }, [props.annotations, running]);

  useEffect(() => {
    setWording({
      area: t('viewer:measure.area'), mean: t('viewer:measure.mean'), deviation: t('viewer:measure.deviation'), extent: t('viewer:measure.extent'),
      perimeter: t('viewer:measure.perimeter'), uncalibrated: t('viewer:measure.uncalibrated'), detector: t('viewer:measure.detector'),
    });
  }, [t, i18n.language]);

  return (
    <ConfigProvider theme={{ algorithm: theme.darkAlgorithm, token: { colorPrimary: '#2a8386' }, components: { Button: { primaryColor: '#ffffff' } } }}>
      {running ? (
        <Surface {...running} {...props} onSecondWindow={second.open} away={second.away} onBack={second.back} />
      ) : (
        <div className="mrv mrv-loading" role="status">
          {t('viewer:waiting.first')}
        </div>
      )}
    </ConfigProvider>
  );
}

interface SurfaceProps extends ViewerProps {
  engine: Engine;
  session: Session;
  onSecondWindow: (() => void) | null;
  away: boolean;
  onBack(): void;
}

function Surface({ engine, session, studies, keymap: name, keyChanges, onKeyChanges, pixelsPerMillimetre, onSecondWindow, away, onBack }: SurfaceProps) {
  const { t } = useTranslation('viewer');
  const layout = usePart(engine.state, (state) => state.layout);
  const panes = usePart(engine.state, (state) => state.panes);
  const active = usePart(engine.state, (state) => state.active);
  // Who may mark changes what the panes and the tool bar offer.
  usePart(engine.state, (state) => state.readOnly);
  const [help, setHelp] = useState(false);
  const [rail, setRail] = useState(() => window.innerWidth > NARROW);
  const box = useRef<HTMLDivElement>(null);

  const run = useCallback(
    (action: Action): boolean => {
      switch (action) {
        case 'help':
          setHelp((open) => !open);
          return true;
        case 'full.toggle':
          if (document.fullscreenElement) void document.exitFullscreen();
          else void box.current?.requestFullscreen().catch(() => undefined);
          return true;
        case 'undo':
          return session.undo();
        case 'redo':
          return session.redo();
        case 'mark.delete':
          return session.removeSelected();
        case 'cancel':
          engine.chooseTool('tool.window');
          return false;
        default:
          return engine.run(action);
      }
    },
    [engine, session],
  );
  const keymap = useViewerKeys(name, keyChanges, run, !away);
  const known = useMemo(() => new Map(studies.map((study) => [study.id, study.uid])), [studies]);
  const refreshes = useRef(new Map<string, ReturnType<typeof setTimeout>>());
  useArrivals(
    useCallback(
      (arriving) => {
        const uid = known.get(arriving.study);
        if (!uid || refreshes.current.has(uid)) return;
        const timer = setTimeout(() => {
          refreshes.current.delete(uid);
          void engine.library.refresh(uid);
        }, 1_500);
        refreshes.current.set(uid, timer);
      },
      [engine, known],
    ),
  );
  if (away) {
    return (
      <div className="mrv mrv-away" role="status">
        <p>{t('viewer:second.away')}</p>
        <button type="button" className="mrv-tool mrv-wide" onClick={onBack}>
          {t('viewer:second.back')}
        </button>
      </div>
    );
  }
  return (
    <div className="mrv" ref={box}>
      <Toolbar engine={engine} keymap={keymap} run={run} onSecondWindow={onSecondWindow} rail={rail} onRail={() => setRail(!rail)} />
      <div className="mrv-body">
        {rail && <Rail engine={engine} studies={studies} />}
        <div className="mrv-stage" style={{ gridTemplateRows: `repeat(${layout.rows}, minmax(0, 1fr))`, gridTemplateColumns: `repeat(${layout.columns}, minmax(0, 1fr))` }}>
          {Array.from({ length: panes }, (_, at) => (
            <PaneBox key={at} engine={engine} session={session} paneKey={at} active={at === active && panes > 1} pixelsPerMillimetre={pixelsPerMillimetre ?? null} />
          ))}
        </div>
      </div>
      <AskText />
      <CheatSheet open={help} name={name} keymap={keymap} changes={keyChanges ?? NO_CHANGES} onChanges={onKeyChanges} onClose={() => setHelp(false)} />
    </div>
  );
}
