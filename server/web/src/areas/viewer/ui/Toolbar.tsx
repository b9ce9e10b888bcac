// The tool bar: signs with words and keys, usable by touch and keyboard.
import { Dropdown, Tooltip, type MenuProps } from 'antd';
import { useMemo, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import type { Action } from '../actions';
import { alignHere } from '../engine/arrange';
import type { Engine } from '../engine/engine';
import { canCut } from '../engine/mprMode';
import { isInverse } from '../engine/paneView';
import { ctPresets, fileWindows } from '../engine/presets';
import { usePart, useSignal } from '../engine/signal';
import { drawing } from '../engine/start';
import type { Keymap } from '../keymaps';

import { Icon, type IconName } from './icons';
import { LayoutMenu } from './LayoutMenu';

export interface ToolbarProps {
  engine: Engine;
  keymap: Keymap;
  run(action: Action): boolean;
  onSecondWindow: (() => void) | null;
  rail: boolean;
  onRail(): void;
}

const TOOLS: [Action, IconName][] = [
  ['tool.window', 'window'], ['tool.zoom', 'zoom'], ['tool.pan', 'pan'], ['tool.length', 'length'], ['tool.angle', 'angle'],
  ['tool.ellipse', 'ellipse'], ['tool.rectangle', 'rectangle'], ['tool.freehand', 'freehand'], ['tool.probe', 'probe'], ['tool.arrow', 'arrow'], ['tool.text', 'text'],
];
const DRAWING = new Set(TOOLS.slice(3).map(([action]) => action));

export function Toolbar({ engine, keymap, run, onSecondWindow, rail, onRail }: ToolbarProps) {
  const { t } = useTranslation('viewer');
  const state = useSignal(engine.state);
  const mpr = useSignal(engine.mpr.state);
  const shown = (engine.panes[state.active] ?? engine.active).view;
  const stack = usePart(shown, (view) => view.stack);
  const inverted = usePart(shown, (view) => view.invert);
  const running = usePart(shown, (view) => view.cine > 0);
  const by = useSignal(drawing);
  const cuttable = useMemo(() => canCut(stack), [stack]);
  const press = (action: Action) => () => void run(action);
  const said = { keymap, press };
  const moving = (stack?.frames.length ?? 0) > 1;
  return (
    <div className="mrv-tools" role="toolbar" aria-label={t('viewer:toolbar.name')}>
      <Tool icon="rail" text={t('viewer:toolbar.rail')} keys={[]} pressed={rail} onPress={onRail} />
      <i />
      {TOOLS.filter(([action]) => !engine.readOnly || !DRAWING.has(action)).map(([action, icon]) => (
        <Button key={action} {...said} action={action} icon={icon} pressed={state.tool === action} />
      ))}
      <i />
      <Presets engine={engine} keymap={keymap} />
      <Button {...said} action="invert" icon="invert" pressed={inverted !== isInverse(stack)} />
      <Button {...said} action="rotate.right" icon="rotateRight" />
      <Button {...said} action="flip.horizontal" icon="flipH" />
      <Button {...said} action="flip.vertical" icon="flipV" />
      <Button {...said} action="fit" icon="fit" />
      <Button {...said} action="reset" icon="reset" />
      <i />
      <Button {...said} action="cine.toggle" icon={running ? 'pause' : 'play'} pressed={running} disabled={!moving} />
      {!engine.readOnly && <Button {...said} action="key.toggle" icon="key" />}
      {!engine.readOnly && <Button {...said} action="undo" icon="undo" />}
      {!engine.readOnly && <Button {...said} action="redo" icon="redo" />}
      {!engine.readOnly && <Button {...said} action="mark.delete" icon="remove" />}
      <i />
      <LayoutMenu engine={engine} />
      <Button {...said} action="mpr.toggle" icon="mpr" pressed={mpr !== null} disabled={mpr === null && !cuttable} />
      <Button {...said} action="sync.toggle" icon="sync" pressed={state.sync} />
      {state.panes > 1 && !mpr && <Tool icon="align" text={t('viewer:toolbar.align')} keys={[]} onPress={() => alignHere(engine)} />}
      <Button {...said} action="overlay.toggle" icon="overlay" pressed={state.overlays} />
      <Button {...said} action="marks.toggle" icon="marks" pressed={state.marksShown} />
      <i />
      {onSecondWindow && <Tool icon="screen" text={t('viewer:toolbar.second')} keys={[]} onPress={onSecondWindow} />}
      <Button {...said} action="full.toggle" icon="full" />
      <Button {...said} action="help" icon="keyboard" />
      {mpr && mpr.filled < mpr.total && <span role="status">{t('viewer:mpr.filling', { filled: mpr.filled, total: mpr.total })}</span>}
      {mpr?.uneven && <span role="status" className="mrv-tag">{t('viewer:mpr.uneven')}</span>}
      {mpr?.failed && <span className="mrv-bad">{t('viewer:mpr.failed', { missing: mpr.total - mpr.filled })}</span>}
      {by.by === 'cpu' && (
        <Tooltip title={t(by.lost ? 'viewer:drawing.lost' : 'viewer:drawing.cpuHint')}>
          <span className="mrv-tag" tabIndex={0}>
            {t('viewer:drawing.cpu')}
          </span>
        </Tooltip>
      )}
    </div>
  );
}

interface ButtonProps {
  action: Action;
  icon: IconName;
  keymap: Keymap;
  press(action: Action): () => void;
  pressed?: boolean;
  disabled?: boolean;
}

function Button({ action, icon, keymap, press, pressed, disabled = false }: ButtonProps) {
  const { t } = useTranslation('viewer');
  return <Tool icon={icon} text={t(`viewer:action.${action.replace('.', '_')}`)} keys={keymap[action]} pressed={pressed} disabled={disabled} onPress={press(action)} />;
}

function Tool({ icon, text, keys, pressed, disabled = false, onPress }: { icon: IconName; text: string; keys: readonly string[]; pressed?: boolean | undefined; disabled?: boolean; onPress(): void }) {
  const hint: ReactNode = keys[0] ? (
    <>
      {text} <kbd>{keys[0]}</kbd>
    </>
  ) : (
    text
  );
  return (
    <Tooltip title={hint} mouseEnterDelay={0.4}>
      <button type="button" className="mrv-tool" aria-label={text} aria-pressed={pressed} aria-keyshortcuts={keys[0]} disabled={disabled} onClick={onPress}>
        <Icon name={icon} />
      </button>
    </Tooltip>
  );
}

/** Windows by name: the file's own first, and CT's only for CT. */
function Presets({ engine, keymap }: { engine: Engine; keymap: Keymap }) {
  const { t } = useTranslation('viewer');
  const active = usePart(engine.state, (state) => state.active);
  const pane = engine.panes[active] ?? engine.active;
  const stack = usePart(pane.view, (view) => view.stack);
  // Windows hardly ever change within a stack: those of the image in its middle stand for all.
  const frame = stack?.frames[Math.floor((stack.frames.length - 1) / 2)];
  const key = (action: Action) => (keymap[action][0] ? <kbd>{keymap[action][0]}</kbd> : null);
  const own = frame ? fileWindows(frame) : [];
  const isCt = stack?.modality === 'CT';
  const items: MenuProps['items'] = [
    ...own.map((window, at) => ({
      key: `own${at}`,
      label: `${window.explanation || t('viewer:preset.file', { number: at + 1 })} ${window.width}/${window.centre}`,
      // Without presets of their own, other modalities have the file's windows on the same keys.
      extra: !isCt && at < 9 ? key(`window.${at + 1}` as Action) : null,
      onClick: () => pane.setWindow(window),
    })),
    { key: 'auto', label: t('viewer:action.window_auto'), extra: key('window.auto'), onClick: () => pane.autoWindow() },
    ...(isCt
      ? ctPresets.map((preset) => ({
          key: preset.name,
          label: `${t(`viewer:preset.${preset.name}`)} ${preset.width}/${preset.centre}`,
          extra: preset.key ? key(`window.${preset.key}` as Action) : null,
          onClick: () => pane.setWindow(preset),
        }))
      : []),
  ];
  return (
    <Dropdown menu={{ items }} trigger={['click']}>
      <button type="button" className="mrv-tool mrv-wide" aria-haspopup="menu">
        {t('viewer:toolbar.presets')}
      </button>
    </Dropdown>
  );
}
