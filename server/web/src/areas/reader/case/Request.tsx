// What the clinic asked, and about whom: the request, the study, the papers.
import { PaperClipOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Alert } from 'antd';
import { Fragment, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { Parts } from '@/shared/Parts';
import { PatientName, SexAge } from '@/shared/PatientName';
import { PriorityTag } from '@/shared/PriorityTag';
import { dicomClock, dicomDay, moment } from '@/shared/time';

import { attachmentPath, readAttachments, type CaseDetail } from '../api';

function Facts({ facts }: { facts: [string, ReactNode][] }) {
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <Fragment key={name}>
          <dt>{name}</dt>
          <dd>{value || '–'}</dd>
        </Fragment>
      ))}
    </dl>
  );
}

function Papers({ order }: { order: string }) {
  const { t } = useTranslation('reader');
  const { data } = useQuery({ queryKey: ['order', order, 'papers'], queryFn: () => readAttachments(order), staleTime: 300_000 });
  if (!data || data.length === 0) return null;
  return (
    <>
      <h3>{t('reader:request.papers')}</h3>
      <ul className="case-list">
        {data.map((paper) => (
          <li key={paper.id}>
            <PaperClipOutlined aria-hidden />{' '}
            <a href={attachmentPath(paper.id)} target="_blank" rel="noopener noreferrer">
              {paper.name}
            </a>{' '}
            <span className="quiet">{Math.ceil(paper.bytes / 1024)} kB</span>
          </li>
        ))}
      </ul>
    </>
  );
}

/** What does not agree between the request and the images. */
function differing(detail: CaseDetail): ('name' | 'sex' | 'birth' | 'id')[] {
  const { order, study } = detail;
  if (!order) return [];
  const all: ('name' | 'sex' | 'birth' | 'id')[] = [];
  const plain = (name: string) => name.replace(/[\s^=·]/g, '').toLowerCase();
  const names = study.patient_name.split('=').map(plain).filter(Boolean);
  const asked = order.patient_name.split('=').map(plain).filter(Boolean);
  if (asked.length > 0 && names.length > 0 && !asked.some((name) => names.includes(name))) all.push('name');
  if (order.patient_sex && study.patient_sex && order.patient_sex !== study.patient_sex) all.push('sex');
  if (order.patient_birth_date && study.patient_birth_date && dicomDay(order.patient_birth_date) !== dicomDay(study.patient_birth_date)) all.push('birth');
  if (order.patient_id !== '' && study.patient_id !== '' && order.patient_id !== study.patient_id) all.push('id');
  return all;
}

export function Request({ detail }: { detail: CaseDetail }) {
  const { t } = useTranslation('reader');
  const { order, study } = detail;
  const wrong = differing(detail);
  return (
    <div>
      {wrong.length > 0 && (
        <Alert type="error" showIcon style={{ marginBottom: 12 }} title={t('reader:request.differs', { what: wrong.map((part) => t(`reader:request.part.${part}`)).join(t('reader:request.and')) })} />
      )}
      {order ? (
        <Facts
          facts={[
            [t('reader:request.question'), order.question],
            [t('reader:request.history'), order.history],
            [t('reader:column.priority'), <PriorityTag key="priority" priority={order.priority} />],
            [t('reader:request.bodyPart'), order.body_part],
            [t('reader:request.number'), order.number],
            [t('reader:request.at'), moment(order.created_at)],
          ]}
        />
      ) : (
        <Alert type="info" showIcon style={{ marginBottom: 12 }} title={t('reader:request.none')} />
      )}
      <Facts
        facts={[
          [t('reader:column.name'), <PatientName key="name" name={study.patient_name || study.patient} />],
          [t('reader:column.sexAge'), <SexAge key="age" sex={study.patient_sex} birth={study.patient_birth_date} on={study.study_date ?? null} />],
          [t('reader:request.patientId'), study.patient_id],
          [t('reader:request.birth'), dicomDay(study.patient_birth_date)],
          [t('reader:column.accession'), study.accession],
          [t('reader:column.clinic'), detail.clinic_name],
          [t('reader:column.exam'), <Parts key="exam" of={[study.modality, study.description, study.body_part]} />],
          [t('reader:column.examTime'), `${dicomDay(study.study_date)} ${dicomClock(study.study_time)}`],
          [t('reader:request.here'), moment(study.completed_at ?? study.last_at)],
          [t('reader:request.images'), String(study.instances)],
        ]}
      />
      {order && <Papers order={order.id} />}
    </div>
  );
}
