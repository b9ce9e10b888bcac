// The bell: what waits for somebody, with the way to it.
import { BellOutlined } from '@ant-design/icons';
import { useNavigate } from '@tanstack/react-router';
import { Badge, Button, Dropdown } from 'antd';
import { useTranslation } from 'react-i18next';

import { useWaiting } from './alerts';
import type { Me } from './session';

export function Bell({ me }: { me: Me | null }) {
  const { t } = useTranslation('common');
  const navigate = useNavigate();
  const waiting = useWaiting(me);
  const total = waiting.reduce((sum, line) => sum + line.count, 0);
  const items =
    waiting.length > 0
      ? waiting.map((line) => ({
          key: line.name,
          label: t(`common:bell.${line.name}`, { count: line.count }) + (line.more ? '+' : ''),
          onClick: () => void navigate({ to: line.to }),
        }))
      : [{ key: 'nothing', label: t('common:bell.nothing'), disabled: true }];
  return (
    <Dropdown menu={{ items }} trigger={['click']} placement="bottomRight">
      <Button type="text" aria-label={t('common:bell.label', { count: total })} aria-haspopup="menu">
        <Badge count={total} size="small" overflowCount={99}>
          <BellOutlined style={{ fontSize: 18 }} aria-hidden />
        </Badge>
      </Button>
    </Dropdown>
  );
}
