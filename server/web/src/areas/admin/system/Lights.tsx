// Green, amber and red, each with a sign and in words.
import { CheckCircleFilled, CloseCircleFilled, ExclamationCircleFilled } from '@ant-design/icons';
import { useTranslation } from 'react-i18next';

import type { Level, Light } from './status';

const SIGNS = { good: CheckCircleFilled, fair: ExclamationCircleFilled, bad: CloseCircleFilled };

/** The sign of a level with its word. */
export function Sign({ level, size = 18 }: { level: Level; size?: number }) {
  const { t } = useTranslation(['admin', 'common']);
  const Icon = SIGNS[level];
  return <Icon role="img" className={`state-${level}`} style={{ fontSize: size }} aria-label={t(`admin:health.level.${level}`)} />;
}

export function Lights({ lights }: { lights: Light[] }) {
  const { t } = useTranslation(['admin', 'common']);
  return (
    <ul className="lines">
      {lights.map((light) => (
        <li key={light.name} style={{ display: 'flex', gap: 12, padding: '10px 0' }}>
          <Sign level={light.level} />
          <div>
            <b>{t(`admin:health.light.${light.name}`)}</b> <span className={`state-${light.level}`}>{t(`admin:health.level.${light.level}`)}</span>
            <div>{t(`admin:health.${light.name}.words`, light.values)}</div>
            {light.level !== 'good' && <div className="quiet">{t(`admin:health.${light.name}.todo`, light.values)}</div>}
          </div>
        </li>
      ))}
    </ul>
  );
}
