// Reports that came back: what nobody has acknowledged first. Works on a phone.
import { CheckCircleOutlined, ClockCircleOutlined } from '@ant-design/icons';
import { Link } from '@tanstack/react-router';
import { Button, Empty, Flex, Segmented, Skeleton } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { PatientName } from '@/shared/PatientName';
import { PriorityTag } from '@/shared/PriorityTag';
import { dicomDay, shortMoment } from '@/shared/time';
import { Trouble } from '@/shared/Trouble';

import './clinic.css';
import { useClinicLive, useInbox, type InboxItem } from './data';
import { Findings } from './Findings';

export function ReportsPage() {
  const { t } = useTranslation('clinic');
  useClinicLive();
  const inbox = useInbox();
  const [all, setAll] = useState(false);
  const items = inbox.data?.pages.flatMap((page) => page.items) ?? [];
  const waiting = items.filter((item) => !item.acknowledged);
  const shown = all ? items : waiting;
  return (
    <main className="clinic-page">
      <h1>{t('clinic:reports.title')}</h1>
      <Findings />
      <Segmented
        aria-label={t('clinic:reports.which')}
        value={all ? 'all' : 'waiting'}
        onChange={(value) => setAll(value === 'all')}
        options={[
          { value: 'waiting', label: t('clinic:reports.waiting', { count: waiting.length }) },
          { value: 'all', label: t('clinic:reports.all') },
        ]}
      />
      {inbox.error && <Trouble error={inbox.error} retry={() => void inbox.refetch()} />}
      {inbox.isLoading && <Skeleton active />}
      {inbox.isSuccess && shown.length === 0 && <Empty description={all ? t('clinic:reports.none') : t('clinic:reports.nothingWaiting')} />}
      <ul className="clinic-list" aria-live="polite">
        {shown.map((item) => (
          <li key={item.id}>
            <ReportCard item={item} />
          </li>
        ))}
      </ul>
      {inbox.hasNextPage && (
        <Button block loading={inbox.isFetchingNextPage} onClick={() => void inbox.fetchNextPage()}>
          {t('clinic:more')}
        </Button>
      )}
    </main>
  );
}

function ReportCard({ item }: { item: InboxItem }) {
  const { t } = useTranslation('clinic');
  return (
    <Link to={`/reports/${item.case}` as string} className="clinic-card">
      <Flex gap="small" justify="space-between" wrap>
        <div>
          <strong>
            <PatientName name={item.patient_name} />
          </strong>
          <div className="quiet">{[item.modality, dicomDay(item.study_date), item.report_number].filter(Boolean).join(' · ')}</div>
        </div>
        <Flex gap="small" align="center" wrap>
          <PriorityTag priority={item.priority} />
          <span>{t(`clinic:kind.${item.kind}`)}</span>
          {item.acknowledged ? (
            <span className="quiet">
              <CheckCircleOutlined aria-hidden /> {t('clinic:reports.acknowledged')}
            </span>
          ) : (
            <strong>
              <ClockCircleOutlined aria-hidden /> {t('clinic:reports.toAcknowledge')}
            </strong>
          )}
          <span className="quiet">{shortMoment(item.since)}</span>
        </Flex>
      </Flex>
    </Link>
  );
}
