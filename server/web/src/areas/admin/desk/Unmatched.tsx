// Studies without a case or without an order: somebody must look.
import { Link } from '@tanstack/react-router';
import { Segmented } from 'antd';
import { useCallback, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useHappened } from '@/app/live';
import { PageTitle } from '@/app/PageTitle';
import { queries } from '@/app/queries';
import { Parts } from '@/shared/Parts';
import { PatientName, SexAge } from '@/shared/PatientName';
import { dicomDay, shortMoment } from '@/shared/time';
import { Nothing } from '@/shared/Trouble';

import { DataTable, type Column } from '../parts/DataTable';
import { usePaged } from '../parts/paged';
import { usePlaces } from '../parts/places';
import type { Study } from './api';

type Which = 'trouble' | 'unmatched';
const KEY = ['unmatched'];
const KINDS = ['study_unmatched', 'study_matched', 'study_complete', 'case_opened', 'order_changed'];

export function Unmatched() {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const [which, setWhich] = useState<Which>('trouble');
  const { nameOf } = usePlaces();
  useHappened(
    KINDS,
    useCallback(() => void queries.invalidateQueries({ queryKey: KEY }), []),
  );
  const list = usePaged<Study>(KEY, '/api/v1/studies', { [which]: true, stage: which === 'unmatched' ? 'complete' : null });
  const columns: Column<Study>[] = [
    { key: 'patient', title: t('admin:column.patient'), main: true, render: (study) => <PatientName name={study.patient_name} /> },
    { key: 'who', title: t('admin:column.sexAge'), render: (study) => <SexAge sex={study.patient_sex} birth={study.patient_birth_date} on={study.study_date ?? null} /> },
    { key: 'number', title: t('admin:column.patientId'), render: (study) => study.patient_id },
    { key: 'study', title: t('admin:column.study'), render: (study) => <Parts of={[study.modality, study.body_part ?? study.description, dicomDay(study.study_date)]} /> },
    { key: 'clinic', title: t('admin:column.clinic'), render: (study) => nameOf(study.clinic) },
    { key: 'came', title: t('admin:column.arrived'), render: (study) => shortMoment(study.last_at) },
    { key: 'why', title: t('admin:column.reason'), render: (study) => t(`admin:trouble.${study.trouble ?? 'none'}`) },
    { key: 'do', title: '', render: (study) => <Link to={`/unmatched/${study.id}`}>{t('admin:unmatched.open')}</Link> },
  ];
  return (
    <div className="page">
      <PageTitle title={t('admin:unmatched.title')} lead={t('admin:unmatched.lead')} />
      <Segmented<Which> value={which} onChange={setWhich} options={(['trouble', 'unmatched'] as const).map((name) => ({ value: name, label: t(`admin:unmatched.${name}`) }))} style={{ marginBottom: 12 }} />
      <DataTable label={t('admin:unmatched.title')} columns={columns} list={list} rowKey={(study) => study.id} empty={<Nothing text={t(`admin:unmatched.none.${which}`)} />} />
    </div>
  );
}
