// What of a study did not go, by reason in plain words, and what the relay put aside until a person has looked.
import { Alert } from 'antd';
import { useTranslation } from 'react-i18next';

import type { Sending } from '@/upload';

export function UploadFaults({ sending }: { sending: Sending }) {
  const { t } = useTranslation('technician');
  return (
    <>
      {sending.waitsForSpace && sending.state !== 'committed' && <Alert role="status" type="warning" showIcon title={t('technician:fault.space')} />}
      {sending.faults.map(({ why, count, paths }) => (
        <Alert
          key={why}
          role="alert"
          type="error"
          showIcon
          title={t(`technician:fault.${why}`, { count })}
          description={
            paths.some((path) => path !== '') && (
              <details>
                <summary>{t('technician:fault.which')}</summary>
                <ul className="upload-skipped">
                  {paths.map((path, at) => (
                    <li key={at}>
                      <bdi>{path}</bdi>
                    </li>
                  ))}
                </ul>
              </details>
            )
          }
        />
      ))}
      {sending.aside.map(({ outcome, count }) => (
        <Alert key={outcome} role="alert" type="warning" showIcon title={t(`technician:aside.o${outcome}`, { count })} />
      ))}
    </>
  );
}
