// Which columns of the queue are shown, and in which order.
import { ArrowDownOutlined, ArrowUpOutlined, SettingOutlined } from '@ant-design/icons';
import { Button, Checkbox, Popover } from 'antd';
import { useTranslation } from 'react-i18next';

import { COLUMNS, type ColumnId } from './columns';

interface Props {
  shown: readonly ColumnId[];
  onChange: (shown: readonly ColumnId[] | null) => void;
}

function List({ shown, onChange }: Props) {
  const { t } = useTranslation('reader');
  const all = [...shown, ...COLUMNS.map((column) => column.id).filter((id) => !shown.includes(id))];
  const move = (id: ColumnId, by: number) => {
    const at = shown.indexOf(id);
    const next = [...shown];
    next.splice(at, 1);
    next.splice(at + by, 0, id);
    onChange(next);
  };
  return (
    <div style={{ maxHeight: '60dvh', overflow: 'auto' }}>
      {all.map((id) => {
        const at = shown.indexOf(id);
        const word = t(`reader:column.${id}`);
        return (
          <div key={id} style={{ display: 'flex', alignItems: 'center', gap: 4 }}>
            <Checkbox style={{ flex: 1 }} checked={at >= 0} disabled={at >= 0 && shown.length === 1} onChange={(event) => onChange(event.target.checked ? [...shown, id] : shown.filter((other) => other !== id))}>
              {word}
            </Checkbox>
            <Button size="small" type="text" disabled={at <= 0} icon={<ArrowUpOutlined />} aria-label={t('reader:column.up', { word })} onClick={() => move(id, -1)} />
            <Button size="small" type="text" disabled={at < 0 || at === shown.length - 1} icon={<ArrowDownOutlined />} aria-label={t('reader:column.down', { word })} onClick={() => move(id, 1)} />
          </div>
        );
      })}
      <Button size="small" onClick={() => onChange(null)}>
        {t('reader:column.standard')}
      </Button>
    </div>
  );
}

export function ColumnChoice(props: Props) {
  const { t } = useTranslation('reader');
  return (
    <Popover trigger="click" placement="bottomRight" title={t('reader:column.choose')} content={<List {...props} />}>
      <Button icon={<SettingOutlined />} aria-label={t('reader:column.choose')} />
    </Popover>
  );
}
