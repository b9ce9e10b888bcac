// The bell: what waits for somebody, with the way to it.
import { BellOutlined } from '@ant-design/icons';
import { useNavigate } from '@tanstack/react-router';
import { Badge, Button, Dropdown, type MenuProps } from 'antd';
import { useTranslation } from 'react-i18next';

import { caseAt, useWaiting, type Waiting } from './alerts';
import type { Me } from './session';

export function Bell({ me }: { me: Me | null }) {
  const { t } = useTranslation('common');
  const navigate = useNavigate();
  const waiting = useWaiting(me);
  const total = waiting.reduce((sum, line) => sum + line.count, 0);
  const words = (line: Waiting) => t(`common:bell.${line.name}`, { count: line.count }) + (line.more ? '+' : '');
  const go = (to: string) => () => void navigate({ to });
  const line = (one: Waiting): NonNullable<MenuProps['items']>[number] => {
    if (!me || one.cases.length === 0) return { key: one.name, label: words(one), onClick: go(one.to) };
    const children = one.cases.map(({ id, number, count }) => ({ key: id, label: t('common:bell.inCase', { number, count }), onClick: go(caseAt(me, id)) }));
    return { key: one.name, type: 'group', label: words(one), children };
  };
  const items = waiting.length > 0 ? waiting.map(line) : [{ key: 'nothing', label: t('common:bell.nothing'), disabled: true }];
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
