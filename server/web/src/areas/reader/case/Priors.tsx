// Earlier examinations of the same person, the closest first, with their reports.
import { Button, Tag } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { isLater } from '@/areas/viewer/later';
import { dicomDay } from '@/shared/time';
import { Nothing, Trouble } from '@/shared/Trouble';

import type { Prior } from '../api';
import { ReportView } from '../report/ReportView';
import { usePriors } from './useCase';

/** The words for an earlier examination. */
export function priorLabel(prior: Pick<Prior, 'study_date' | 'modality' | 'description' | 'body_part'>): string {
  return [dicomDay(prior.study_date), prior.modality, prior.description || prior.body_part].filter(Boolean).join(' ');
}

/** Those before the examination of a day first; those after it come last, and are no priors. */
export function inTime(all: readonly Prior[], day: string | null | undefined): { before: Prior[]; after: Prior[] } {
  const after = all.filter((prior) => isLater(prior.study_date, day));
  return { before: all.filter((prior) => !after.includes(prior)), after };
}

export function Priors({ id, day }: { id: string; day: string | null | undefined }) {
  const { t } = useTranslation('reader');
  const { data, error, refetch } = usePriors(id);
  const [open, setOpen] = useState<string | null>(null);
  if (error) return <Trouble error={error} retry={() => void refetch()} />;
  const { before, after } = inTime(data ?? [], day);
  if (data && data.length === 0) return <Nothing text={t('reader:priors.none')} />;
  return (
    <ul className="case-list" aria-label={t('reader:pane.priors')}>
      {[...before, ...after].map((prior) => (
        <li key={prior.study}>
          <strong>{priorLabel(prior)}</strong> {after.includes(prior) && <Tag color="orange">{t('reader:priors.later')}</Tag>}
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
