// What was left out of what was dropped, by reason, with the names of some.
import { Button, Collapse } from 'antd';
import { useTranslation } from 'react-i18next';

import { ask, type Snapshot } from '@/upload';

export function UploadSkipped({ skipped }: { skipped: Snapshot['skipped'] }) {
  const { t } = useTranslation('technician');
  const all = skipped.reduce((sum, line) => sum + line.count, 0);
  const list = (
    <ul className="upload-skipped">
      {skipped.map(({ why, count, paths }) => (
        <li key={why}>
          <strong>{t(`technician:skip.${why}`, { count })}</strong>
          <ul>
            {paths.map((path, at) => (
              <li key={at}>
                <bdi className="quiet">{path}</bdi>
              </li>
            ))}
          </ul>
          {count > paths.length && <span className="quiet">{t('technician:skip.more', { count: count - paths.length })}</span>}
        </li>
      ))}
      <li>
        <Button size="small" onClick={() => ask({ ask: 'clearSkipped' })}>
          {t('technician:skip.clear')}
        </Button>
      </li>
    </ul>
  );
  return <Collapse size="small" items={[{ key: 'skipped', label: t('technician:skip.title', { count: all }), children: list }]} />;
}
