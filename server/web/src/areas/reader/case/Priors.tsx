// Earlier examinations of the same person, the closest first, with their reports.
import { Button } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { dicomDay } from '@/shared/time';
import { Nothing, Trouble } from '@/shared/Trouble';

import type { Prior } from '../api';
import { ReportView } from '../report/ReportView';
import { usePriors } from './useCase';

/** The words for an earlier examination. */
export function priorLabel(prior: Pick<Prior, 'study_date' | 'modality' | 'description' | 'body_part'>): string {
  return [dicomDay(prior.study_date), prior.modality, prior.description || prior.body_part].filter(Boolean).join(' ');
}

export function Priors({ id }: { id: string }) {
  const { t } = useTranslation('reader');
  const { data, error, refetch } = usePriors(id);
  const [open, setOpen] = useState<string | null>(null);
  if (error) return <Trouble error={error} retry={() => void refetch()} />;
  if (data && data.length === 0) return <Nothing text={t('reader:priors.none')} />;
  return (
    <ul className="case-list" aria-label={t('reader:pane.priors')}>
      {(data ?? []).map((prior) => (
        <li key={prior.study}>
          <strong>{priorLabel(prior)}</strong>
          <div className="quiet">
            {prior.clinic_name} · {t('reader:priors.images', { count: prior.instances })}
            {!prior.same_patient_id && ` · ${t('reader:priors.otherId')}`}
          </div>
          {prior.report ? (
            <Button size="small" aria-expanded={open === prior.study} onClick={() => setOpen(open === prior.study ? null : prior.study)}>
              {open === prior.study ? t('reader:priors.close') : t('reader:priors.report')}
            </Button>
          ) : (
            <span className="quiet">{t('reader:priors.noReport')}</span>
          )}
          {open === prior.study && prior.report && <ReportView id={prior.report} />}
        </li>
      ))}
    </ul>
  );
}
