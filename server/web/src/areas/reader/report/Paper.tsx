// The report as it will be printed. What counts is the PDF that the relay makes at signing; this shows the same content before.
import { useTranslation } from 'react-i18next';

import { PatientName, SexAge } from '@/shared/PatientName';
import { dicomClock, dicomDay } from '@/shared/time';

import type { CaseDetail, Writing } from '../api';
import { SECTIONS } from './ReportView';

interface Props {
  detail: CaseDetail;
  text: Writing;
  reporter: string;
  verifier: string | null;
}

export function Paper({ detail, text, reporter, verifier }: Props) {
  const { t } = useTranslation('reader');
  const { study } = detail;
  const facts = [
    [t('reader:column.name'), <PatientName key="name" name={study.patient_name || study.patient} />],
    [t('reader:column.sexAge'), <SexAge key="age" sex={study.patient_sex} birth={study.patient_birth_date} on={study.study_date ?? null} />],
    [t('reader:request.patientId'), study.patient_id],
    [t('reader:column.accession'), study.accession ?? '–'],
    [t('reader:column.clinic'), detail.clinic_name],
    [t('reader:column.exam'), [study.modality, study.description || study.body_part].filter(Boolean).join(' ')],
    [t('reader:column.examTime'), `${dicomDay(study.study_date)} ${dicomClock(study.study_time)}`],
  ] as const;
  return (
    <article className="paper" aria-label={t('reader:preview.title')}>
      <h2>{detail.centre_name}</h2>
      <h2>{t('reader:preview.heading')}</h2>
      <div className="paper-facts">
        {facts.map(([name, value]) => (
          <span key={name}>
            {name}：{value}
          </span>
        ))}
      </div>
      {SECTIONS.filter((section) => section !== 'recommendation' || text[section] !== '').map((section) => (
        <section key={section}>
          <h3>{t(`reader:section.${section}`)}</h3>
          <p>{text[section]}</p>
        </section>
      ))}
      <div className="paper-end">
        <span>{t('reader:report.by', { name: reporter })}</span>
        {verifier !== null && <span>{t('reader:report.verified', { name: verifier })}</span>}
        <span>{t('reader:preview.unsigned')}</span>
      </div>
    </article>
  );
}
