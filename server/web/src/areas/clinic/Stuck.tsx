// Studies that are at the centre, but of which nothing comes before somebody has looked: they would be missed otherwise.
import { Link } from '@tanstack/react-router';
import { Alert } from 'antd';
import { useTranslation } from 'react-i18next';

import { has, useMe } from '@/app/session';
import { Parts } from '@/shared/Parts';
import { PatientName } from '@/shared/PatientName';
import { dicomDay } from '@/shared/time';

import { useStuck } from './data';

const KNOWN = ['ambiguous_order', 'no_agreement'];

export function Stuck() {
  const { t } = useTranslation('clinic');
  const studies = useStuck();
  const may = has(useMe(), 'technician', 'coordinator');
  if (!studies.data?.length) return null;
  return (
    <section aria-label={t('clinic:stuck.title')}>
      <h2>{t('clinic:stuck.title')}</h2>
      <ul className="clinic-list">
        {studies.data.map((study) => (
          <li key={study.id}>
            <Alert
              type="warning"
              showIcon
              title={
                <>
                  <PatientName name={study.patient_name} /> <Parts of={[study.modality, study.description ?? study.body_part, dicomDay(study.study_date)]} />
                </>
              }
              description={
                <>
                  <div>{t(`clinic:stuck.${KNOWN.includes(study.trouble ?? '') ? study.trouble : 'other'}`)}</div>
                  {study.trouble === 'ambiguous_order' && (may ? <Link to={`/unmatched/${study.id}` as string}>{t('clinic:stuck.match')}</Link> : <div>{t('clinic:stuck.ask')}</div>)}
                </>
              }
            />
          </li>
        ))}
      </ul>
    </section>
  );
}
