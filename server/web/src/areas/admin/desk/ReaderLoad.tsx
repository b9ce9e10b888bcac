// Who reads at a centre and how much each of them has; a case can be dropped on somebody.
import { Card, Tag } from 'antd';
import { useState, type DragEvent } from 'react';
import { useTranslation } from 'react-i18next';

import type { Reader } from './api';

export function ReaderLoad({ readers, onDrop }: { readers: Reader[]; onDrop: (person: string, event: DragEvent) => void }) {
  const { t } = useTranslation(['admin', 'common']);
  const [over, setOver] = useState<string | null>(null);
  const most = Math.max(1, ...readers.map((reader) => reader.holds + reader.waiting));
  return (
    <ul style={{ listStyle: 'none', margin: 0, padding: 0, display: 'grid', gap: 8 }}>
      {readers.map((reader) => (
        <li key={reader.person}>
          <Card
            size="small"
            style={over === reader.person ? { outline: '2px solid #0b6b6f' } : {}}
            onDragOver={(event) => {
              event.preventDefault();
              setOver(reader.person);
            }}
            onDragLeave={() => setOver(null)}
            onDrop={(event) => {
              event.preventDefault();
              setOver(null);
              onDrop(reader.person, event);
            }}
          >
            <div style={{ display: 'flex', justifyContent: 'space-between', gap: 8 }}>
              <strong>{reader.name}</strong>
              <span>{reader.roles.map((role) => t(`common:role.${role}`)).join(' ')}</span>
            </div>
            <div aria-hidden className="load">
              <span style={{ width: `${(reader.holds / most) * 100}%` }} className="load-holds" />
              <span style={{ width: `${(reader.waiting / most) * 100}%` }} className="load-waiting" />
            </div>
            <div style={{ fontSize: 13 }}>{t('admin:assign.load', { holds: reader.holds, waiting: reader.waiting, signed: reader.signed_today })}</div>
            <div>
              {reader.modalities.length === 0 ? <Tag>{t('admin:modalities.all')}</Tag> : reader.modalities.map((modality) => <Tag key={modality}>{modality}</Tag>)}
            </div>
          </Card>
        </li>
      ))}
    </ul>
  );
}
