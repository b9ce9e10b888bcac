// All keys on a sheet, with what stands twice; can be printed.
import { Modal } from 'antd';
import { useTranslation } from 'react-i18next';

import { groups, type Action, type Group } from '../actions';
import { ctPresets } from '../engine/presets';
import { conflictsOf, type Keymap } from '../keymaps';

/** The CT window that a key chooses. */
function presetName(action: Action): string | null {
  const key = /^window\.(\d)$/.exec(action)?.[1];
  return key ? (ctPresets.find((preset) => preset.key === Number(key))?.name ?? null) : null;
}

export function CheatSheet({ open, keymap, onClose }: { open: boolean; keymap: Keymap; onClose(): void }) {
  const { t } = useTranslation('viewer');
  const conflicts = conflictsOf(keymap);
  return (
    <Modal
      open={open}
      onCancel={onClose}
      onOk={() => window.print()}
      okText={t('viewer:help.print')}
      cancelText={t('viewer:help.close')}
      title={t('viewer:help.title')}
      width={920}
      style={{ top: 16 }}
      className="mrv-sheet"
    >
      {conflicts.length > 0 && (
        <p role="alert">
          {t('viewer:help.conflicts')} {conflicts.map((conflict) => conflict.chord).join('，')}
        </p>
      )}
      <div className="mrv-sheetgrid">
        {(Object.keys(groups) as Group[]).map((group) => (
          <section key={group}>
            <h4>{t(`viewer:group.${group}`)}</h4>
            <dl>
              {groups[group].map((action: Action) => (
                <div key={action}>
                  <dt>
                    {keymap[action].map((chord) => (
                      <kbd key={chord}>{chord}</kbd>
                    ))}
                  </dt>
                  <dd>
                      {t(`viewer:action.${action.replace('.', '_')}`)}
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
