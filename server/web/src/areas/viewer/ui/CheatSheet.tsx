// All keys on a sheet, with what stands twice; can be printed, and each key can be changed there.
import { Button, Modal } from 'antd';
import { Fragment, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { groups, type Action, type Group } from '../actions';
import { ctPresets } from '../engine/presets';
import { chordOf, chordText, conflictsOf, reassigned, type Keymap } from '../keymaps';
import type { KeyChanges, KeymapName } from '../types';

/** Keys of the case page beside the viewer, which nobody can change. */
const REPORT = [
  ['F2', 'focus'], ['Ctrl+s', 'save'], ['Ctrl+Enter', 'sign'], ['Alt+1 … 9', 'template'], ['#', 'phrase'], ['Ctrl+Shift+c', 'critical'],
] as const;
const MODIFIERS = new Set(['Control', 'Shift', 'Alt', 'Meta', 'AltGraph', 'CapsLock', 'Dead', 'Process', 'Unidentified']);

interface Props {
  open: boolean;
  name: KeymapName;
  keymap: Keymap;
  changes: KeyChanges;
  /** Where changes are kept; without it the sheet is for reading. */
  onChanges?: ((changes: KeyChanges) => void) | undefined;
  onClose(): void;
}

/** The CT window that a key chooses. */
function presetName(action: Action): string | null {
  const key = /^window\.(\d)$/.exec(action)?.[1];
  return key ? (ctPresets.find((preset) => preset.key === Number(key))?.name ?? null) : null;
}

/** Waits for the next chord; Escape gives up. Nobody else hears of what is pressed meanwhile. */
function useNextChord(waiting: boolean, onChord: (chord: string | null) => void): void {
  const latest = useRef(onChord);
  latest.current = onChord;
  useEffect(() => {
    if (!waiting) return undefined;
    const pressed = (event: KeyboardEvent) => {
      event.preventDefault();
      event.stopImmediatePropagation();
      if (event.isComposing || event.keyCode === 229 || event.repeat || MODIFIERS.has(event.key)) return;
      latest.current(event.key === 'Escape' ? null : chordOf(event));
    };
    window.addEventListener('keydown', pressed, { capture: true });
    return () => window.removeEventListener('keydown', pressed, { capture: true });
  }, [waiting]);
}

export function CheatSheet({ open, name, keymap, changes, onChanges, onClose }: Props) {
  const { t } = useTranslation('viewer');
  const [editing, setEditing] = useState<Action | null>(null);
  const [said, setSaid] = useState('');
  const conflicts = conflictsOf(keymap);
  const word = (action: Action) => t(`viewer:action.${action.replace('.', '_')}`);
  useNextChord(open && editing !== null, (chord) => {
    const action = editing;
    setEditing(null);
    if (!chord || !action || !onChanges) return;
    const made = reassigned(name, changes, action, chord);
    if (!made) {
      setSaid(t('viewer:help.reserved', { key: chordText(chord) }));
      return;
    }
    setSaid(made.taken.length > 0 ? t('viewer:help.taken', { key: chordText(chord), from: made.taken.map(word).join(' / ') }) : '');
    onChanges(made.changes);
  });
  const close = () => {
    setEditing(null);
    setSaid('');
    onClose();
  };
  return (
    <Modal
      open={open}
      onCancel={close}
      title={t('viewer:help.title')}
      width={980}
      style={{ top: 16 }}
      className="mrv-sheet"
      footer={[
        onChanges && (
          <Button key="standard" disabled={Object.keys(changes).length === 0} onClick={() => onChanges({})}>
            {t('viewer:help.standard')}
          </Button>
        ),
        <Button key="print" onClick={() => window.print()}>
          {t('viewer:help.print')}
        </Button>,
        <Button key="close" type="primary" onClick={close}>
          {t('viewer:help.close')}
        </Button>,
      ]}
    >
      {onChanges && <p className="mrv-small">{t('viewer:help.change')}</p>}
      <p role="status" className="mrv-sheetsaid">
        {conflicts.length > 0 ? `${t('viewer:help.conflicts')} ${conflicts.map((conflict) => chordText(conflict.chord)).join('，')}` : said}
      </p>
      <div className="mrv-sheetgrid">
        {onChanges && (
          <section>
            <h4>{t('viewer:group.report')}</h4>
            <dl>
              {REPORT.map(([chord, what]) => (
                <div key={what}>
                  <dt>
                    <kbd>{chord}</kbd>
                  </dt>
                  <dd>{t(`viewer:help.report.${what}`)}</dd>
                </div>
              ))}
            </dl>
          </section>
        )}
        {(Object.keys(groups) as Group[]).map((group) => (
          <section key={group}>
            <h4>{t(`viewer:group.${group}`)}</h4>
            <dl>
              {groups[group].map((action: Action) => (
                <div key={action}>
                  <dt>
                    <Keys chords={keymap[action]} waiting={editing === action} changed={action in changes} label={word(action)} onEdit={onChanges && (() => setEditing(action))} />
                  </dt>
                  <dd>
                    {word(action)}
                    {presetName(action) && ` · CT ${t(`viewer:preset.${presetName(action)}`)}`}
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <p>{t('viewer:help.mouse')}</p>
    </Modal>
  );
}

/** The keys of one action; a press on them waits for another one. */
function Keys({ chords, waiting, changed, label, onEdit }: { chords: readonly string[]; waiting: boolean; changed: boolean; label: string; onEdit: (() => void) | undefined }) {
  const { t } = useTranslation('viewer');
  const shown = waiting ? <em>{t('viewer:help.press')}</em> : chords.length > 0 ? chords.map((chord, at) => (
    <Fragment key={chord}>
      {at > 0 && ' '}
      <kbd>{chordText(chord)}</kbd>
    </Fragment>
  )) : <span>–</span>;
  if (!onEdit) return shown;
  const said = t('viewer:help.edit', { action: label, keys: chords.map(chordText).join(' ') || '–' });
  return (
    <button type="button" className={changed ? 'mrv-keys mrv-keychanged' : 'mrv-keys'} aria-label={said} title={said} onClick={onEdit}>
      {shown}
    </button>
  );
}
