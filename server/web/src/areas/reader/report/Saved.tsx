// Whether what is written is at the relay, always in sight.
import { CheckOutlined, CloudSyncOutlined, DisconnectOutlined, EditOutlined, WarningOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useTranslation } from 'react-i18next';

import { clockSeconds } from '@/shared/time';
import { plainWords } from '@/shared/Trouble';

import type { Keeper, Saving, Shown } from './keeper';

const ICONS: Record<Saving, typeof CheckOutlined> = {
  saved: CheckOutlined,
  typing: EditOutlined,
  saving: CloudSyncOutlined,
  offline: DisconnectOutlined,
  refused: WarningOutlined,
  lost: WarningOutlined,
};

export function Saved({ shown, keeper }: { shown: Shown; keeper: Keeper }) {
  const { t } = useTranslation('reader');
  const { saving, savedAt, problem } = shown;
  // Nothing is written yet: nothing has been saved either.
  const empty = saving === 'saved' && savedAt === null;
  const Icon = empty ? EditOutlined : ICONS[saving];
  const words = empty ? t('reader:saving.empty') : t(`reader:saving.${saving}`, { at: savedAt === null ? '–' : clockSeconds(savedAt) });
  return (
    <span className={empty ? 'quiet' : `saving-${saving}`} role="status">
      <Icon aria-hidden /> {words}
      {saving === 'refused' && problem && ` ${plainWords(problem)}`}
      {(saving === 'offline' || saving === 'refused') && (
        <Button size="small" type="link" onClick={() => void keeper.save()}>
          {t('shared:again')}
        </Button>
      )}
    </span>
  );
}
