// Whose study it is and what it is, in two lines.
import { useTranslation } from 'react-i18next';

import { Parts } from '@/shared/Parts';
import { PatientName, SexAge } from '@/shared/PatientName';
import { dicomClock, dicomDay } from '@/shared/time';
import type { Card } from '@/upload/views';

import { bytesText, partText } from './words';

export function StudyHead({ card }: { card: Card }) {
  const { t } = useTranslation('technician');
  const { patient, modalities, bodyPart, description, studyDate, studyTime, series, images, bytes } = card;
  const part = partText(bodyPart);
  const said = description.toUpperCase() === bodyPart ? '' : description;
  const what = [modalities.join(' / '), said, said.includes(part) ? '' : part].filter(Boolean);
  return (
    <div className="study-head">
      <div className="study-who">
        <strong>
          <PatientName name={patient.name} />
        </strong>
        <SexAge sex={patient.sex} birth={patient.birthDate} on={studyDate} />
        <span>
          {t('technician:study.id')} <bdi>{patient.id || t('technician:study.none')}</bdi>
        </span>
        {patient.birthDate && (
          <span className="quiet">
            {t('technician:study.born')} {dicomDay(patient.birthDate)}
          </span>
        )}
      </div>
      <div className="study-what">
        <span>{what.length > 0 ? <Parts of={what} /> : t('technician:study.unnamed')}</span>
        <span>
          {dicomDay(studyDate)} {studyTime ? dicomClock(studyTime) : ''}
        </span>
        <span className="quiet">{t('technician:study.size', { series, images, bytes: bytesText(bytes) })}</span>
      </div>
    </div>
  );
}
