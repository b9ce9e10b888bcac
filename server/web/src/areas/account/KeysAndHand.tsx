// Choosing the set of keys, and the hand that holds the mouse.
import { Radio, Space, Typography } from 'antd';
import { useTranslation } from 'react-i18next';

import { KEYMAPS, useHand, useKeymap, type Hand, type Keymap } from './liking';

export function KeysAndHand() {
  const { t } = useTranslation(['account', 'common']);
  const [keymap, chooseKeymap] = useKeymap();
  const [hand, chooseHand] = useHand();
  const keymaps = KEYMAPS.map((name) => ({
    value: name,
    label: (
      <span>
        {t(`account:keys.${name}`)}
        <Typography.Text type="secondary" style={{ display: 'block', fontSize: 13 }}>
          {t(`account:keys.${name}Help`)}
        </Typography.Text>
      </span>
    ),
  }));
  return (
    <>
      <fieldset style={{ border: 0, padding: 0, margin: '0 0 16px' }}>
        <legend style={{ padding: 0, fontWeight: 600, marginBottom: 8 }}>{t('account:keys.title')}</legend>
        <Radio.Group value={keymap} onChange={(event) => chooseKeymap(event.target.value as Keymap)}>
          <Space orientation="vertical">
            {keymaps.map((entry) => (
              <Radio key={entry.value} value={entry.value}>
                {entry.label}
              </Radio>
            ))}
          </Space>
        </Radio.Group>
      </fieldset>
      <fieldset style={{ border: 0, padding: 0, margin: 0 }}>
        <legend style={{ padding: 0, fontWeight: 600, marginBottom: 8 }}>{t('account:keys.hand')}</legend>
        <Radio.Group value={hand} onChange={(event) => chooseHand(event.target.value as Hand)} options={[{ value: 'right', label: t('account:keys.right') }, { value: 'left', label: t('account:keys.left') }]} />
      </fieldset>
    </>
  );
}
