// The bar above a case: whom it is about, where it stands, how long there is, and what can be done with it.
import { ArrowLeftOutlined, BellOutlined, RollbackOutlined, UndoOutlined } from '@ant-design/icons';
import { Link } from '@tanstack/react-router';
import { Button, Tooltip } from 'antd';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { Countdown } from '@/shared/Countdown';
import { Parts } from '@/shared/Parts';
import { PatientName, SexAge } from '@/shared/PatientName';
import { PriorityTag } from '@/shared/PriorityTag';
import { CriticalTag, StageTag } from '@/shared/StageTag';
import { returnWord } from '@/shared/words';

import type { CaseDetail } from '../api';

interface Props {
  detail: CaseDetail;
  /** Whether the claim is this window's. */
  held: boolean;
  mayReturn: boolean;
  children?: ReactNode;
  onHandBack: () => void;
  onReturn: () => void;
  onCritical: () => void;
}

const DONE = new Set(['final', 'delivered', 'closed', 'returned']);

export function CaseBar({ detail, held, mayReturn, children, onHandBack, onReturn, onCritical }: Props) {
  const { t } = useTranslation('reader');
  const { study } = detail;
  const { stage, opened_at, deadline, priority } = detail.case;
  const note = stage === 'returned' && detail.returned ? returnWord(detail.returned.code) : detail.case.hold ? (detail.holder_name ?? null) : null;
  return (
    <header className="case-bar">
      <Link to="/queue" aria-label={t('reader:case.back')}>
        <ArrowLeftOutlined aria-hidden />
      </Link>
      <PriorityTag priority={priority} />
      <strong>
        <PatientName name={study.patient_name || study.patient} />
      </strong>
      <SexAge sex={study.patient_sex} birth={study.patient_birth_date} on={study.study_date ?? null} />
      <span>
        <Parts of={[study.modality, study.description || study.body_part]} />
      </span>
      <span className="quiet">
        {detail.clinic_name} · {detail.number}
      </span>
      <StageTag stage={stage} note={note} />
      <Countdown from={opened_at} due={deadline} stopped={DONE.has(stage)} />
      <CriticalTag critical={detail.critical ?? 'none'} />
      <span className="case-space" />
      {children}
      {held && (
        <>
          <Tooltip title="Ctrl+Shift+C">
            <Button size="small" className="critical-button" icon={<BellOutlined aria-hidden />} aria-keyshortcuts="Control+Shift+C" onClick={onCritical}>
              {t('reader:critical.button')}
            </Button>
          </Tooltip>
          <Button size="small" icon={<UndoOutlined aria-hidden />} onClick={onHandBack}>
            {t('reader:handBack.button')}
          </Button>
        </>
      )}
      {mayReturn && (
        <Button size="small" icon={<RollbackOutlined aria-hidden />} onClick={onReturn}>
          {t('reader:return.button')}
        </Button>
      )}
    </header>
  );
}

/** What the clinic wants to know, in one line that is always there. */
export function Asked({ detail }: { detail: CaseDetail }) {
  const { t } = useTranslation('reader');
  const { order } = detail;
  if (!order || (order.question === '' && order.history === '')) return null;
  return (
    <div className="case-asked">
      <div title={order.question}>
        <b>{t('reader:request.question')}</b> {order.question || '–'}
      </div>
      <div title={order.history}>
        <b>{t('reader:request.history')}</b> {order.history || '–'}
      </div>
    </div>
  );
}
