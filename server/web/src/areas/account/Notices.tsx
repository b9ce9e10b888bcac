// Which occasions are told by a sound and by the system's notifications.
import { SoundOutlined } from '@ant-design/icons';
import { Alert, Button, Card, Checkbox, Slider } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { allowNotifications, OCCASIONS, useNotifyChoices, type Occasion } from '@/shared/notify';
import { play } from '@/shared/sounds';

export function Notices() {
  const { t } = useTranslation(['account', 'common']);
  const [choices, choose] = useNotifyChoices();
  const [refused, setRefused] = useState(false);

  function sound(occasion: Occasion, on: boolean) {
    choose({ ...choices, sound: { ...choices.sound, [occasion]: on } });
  }

  async function system(occasion: Occasion, on: boolean) {
    const allowed = !on || (await allowNotifications());
    setRefused(!allowed);
    if (allowed) choose({ ...choices, system: { ...choices.system, [occasion]: on } });
  }

  return (
    <Card size="small" title={t('account:notices.title')}>
      <table style={{ borderCollapse: 'collapse', width: '100%', maxWidth: 480 }}>
        <thead>
          <tr>
            <th style={{ textAlign: 'start' }}>{t('account:notices.occasion')}</th>
            <th>{t('account:notices.sound')}</th>
            <th>{t('account:notices.system')}</th>
          </tr>
        </thead>
        <tbody>
          {OCCASIONS.map((occasion) => (
            <tr key={occasion}>
              <th scope="row" style={{ textAlign: 'start', fontWeight: 400, padding: '6px 0' }}>
                {t(`account:notices.${occasion}`)}
              </th>
              <td style={{ textAlign: 'center' }}>
                <Checkbox checked={choices.sound[occasion]} aria-label={`${t(`account:notices.${occasion}`)} ${t('account:notices.sound')}`} onChange={(event) => sound(occasion, event.target.checked)} />
              </td>
              <td style={{ textAlign: 'center' }}>
                <Checkbox checked={choices.system[occasion]} aria-label={`${t(`account:notices.${occasion}`)} ${t('account:notices.system')}`} onChange={(event) => void system(occasion, event.target.checked)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {refused && <Alert type="warning" showIcon title={t('account:notices.refused')} style={{ marginTop: 8 }} />}
      <div style={{ display: 'flex', gap: 12, alignItems: 'center', maxWidth: 480, marginTop: 8 }}>
        <span id="volume">{t('account:notices.volume')}</span>
        <Slider style={{ flex: 1 }} min={0} max={1} step={0.05} value={choices.volume} ariaLabelledByForHandle="volume" tooltip={{ formatter: null }} onChange={(volume: number) => choose({ ...choices, volume })} />
        <Button icon={<SoundOutlined />} onClick={() => void play('critical', choices.volume)}>
          {t('account:notices.try')}
        </Button>
      </div>
    </Card>
  );
}
