// What has become of the clinic's own studies: what came back to be done again first, then what is on its way, then the rest.
import { MessageOutlined } from '@ant-design/icons';
import { Link } from '@tanstack/react-router';
import { Alert, Button, Card, Empty, Flex, Input, Skeleton } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useArrivals, type Arriving } from '@/app/live';
import { Countdown } from '@/shared/Countdown';
import { Parts } from '@/shared/Parts';
import { PatientName, SexAge } from '@/shared/PatientName';
import { PriorityTag } from '@/shared/PriorityTag';
import { ArrivingRing, CriticalTag, StageTag } from '@/shared/StageTag';
import { clock, dicomDay } from '@/shared/time';
import { Trouble } from '@/shared/Trouble';

import './clinic.css';
import { useCases, useClinicLive, useReceiving, useUnread, type CaseLine, type Study } from './data';
import { Findings } from './Findings';
import { ReturnedCase } from './ReturnedCase';
import { Stuck } from './Stuck';

const DONE = new Set(['final', 'delivered', 'closed']);

export function CasesPage() {
  const { t } = useTranslation('clinic');
  useClinicLive();
  const [wanted, setWanted] = useState('');
  const cases = useCases(wanted);
  const unread = useUnread();
  const lines = cases.data?.pages.flatMap((page) => page.items) ?? [];
  const returned = lines.filter((line) => line.case.stage === 'returned');
  const others = lines.filter((line) => line.case.stage !== 'returned');
  return (
    <main className="clinic-page">
      <h1>{t('clinic:cases.title')}</h1>
      <Findings />
      {cases.error && <Trouble error={cases.error} retry={() => void cases.refetch()} />}
      {returned.length > 0 && (
        <section aria-label={t('clinic:cases.returned')}>
          <h2>{t('clinic:cases.returned')}</h2>
          {returned.map((line) => (
            <ReturnedCard key={line.case.id} line={line} />
          ))}
        </section>
      )}
      <Stuck />
      <Receiving />
      <section aria-label={t('clinic:cases.all')}>
        <h2>{t('clinic:cases.all')}</h2>
        <Input.Search
          allowClear
          className="clinic-search"
          aria-label={t('clinic:cases.search')}
          placeholder={t('clinic:cases.search')}
          onSearch={(text) => setWanted(text.trim())}
        />
        {cases.isLoading && <Skeleton active />}
        {cases.isSuccess && lines.length === 0 && <Empty description={wanted === '' ? t('clinic:cases.empty') : t('clinic:cases.notFound')} />}
        <ul className="clinic-list">
          {others.map((line) => (
            <li key={line.case.id}>
              <CaseCard line={line} unread={unread.data?.get(line.case.id) ?? 0} />
            </li>
          ))}
        </ul>
        {cases.hasNextPage && (
          <Button block loading={cases.isFetchingNextPage} onClick={() => void cases.fetchNextPage()}>
            {t('clinic:more')}
          </Button>
        )}
      </section>
    </main>
  );
}

/** Who and what: the first two lines of every card. */
function Who({ line }: { line: CaseLine }) {
  return (
    <div>
      <strong>
        <PatientName name={line.patient} />
      </strong>{' '}
      <SexAge sex={line.patient_sex} birth={line.patient_birth_date} on={line.study_date} />
      <div className="quiet">
        <Parts of={[line.case.modality, line.description ?? line.body_part, dicomDay(line.study_date), line.number]} />
      </div>
    </div>
  );
}

function CaseCard({ line, unread }: { line: CaseLine; unread: number }) {
  const { t } = useTranslation('clinic');
  const done = DONE.has(line.case.stage);
  return (
    <Link to={`/reports/${line.case.id}` as string} {...(unread > 0 ? { hash: 'talk' } : {})} className="clinic-card">
      <Flex gap="small" justify="space-between" wrap>
        <Who line={line} />
        <Flex gap="small" align="center" wrap>
          <PriorityTag priority={line.case.priority} />
          <CriticalTag critical={line.critical} />
          {unread > 0 && (
            <strong>
              <MessageOutlined aria-hidden /> {t('clinic:cases.unread', { count: unread })}
            </strong>
          )}
          <StageTag stage={line.case.stage} note={line.holder_name ?? null} />
          {!done && <Countdown from={line.case.opened_at} due={line.case.deadline} />}
        </Flex>
      </Flex>
      {line.forecast && <Forecast ahead={line.forecast.ahead} at={line.forecast.expected_at ?? null} />}
    </Link>
  );
}

/** How many are before it, and when somebody should come to it; the time only when there is something to go by. */
function Forecast({ ahead, at }: { ahead: number; at: number | null }) {
  const { t } = useTranslation('clinic');
  return <div className="quiet">{at === null ? t('clinic:cases.ahead', { ahead }) : t('clinic:cases.forecast', { ahead, at: clock(at) })}</div>;
}

function ReturnedCard({ line }: { line: CaseLine }) {
  const { case: one, returned } = line;
  return <Alert type="warning" style={{ marginBottom: 8 }} title={<Who line={line} />} description={returned && <ReturnedCase id={one.id} why={returned} linked />} />;
}

/** Studies that are still on their way, with a ring that fills as images arrive. */
function Receiving() {
  const { t } = useTranslation('clinic');
  const studies = useReceiving();
  const [progress, setProgress] = useState<Record<string, Arriving>>({});
  useArrivals((arriving) => setProgress((known) => ({ ...known, [arriving.study]: arriving })));
  if (!studies.data?.length) return null;
  return (
    <section aria-label={t('clinic:cases.receiving')}>
      <h2>{t('clinic:cases.receiving')}</h2>
      <ul className="clinic-list">
        {studies.data.map((study) => (
          <li key={study.id}>
            <Card size="small">
              <Flex justify="space-between" gap="small" wrap>
                <StudyName study={study} />
                <ArrivingRing
                  arrived={progress[study.id]?.instances ?? study.instances}
                  expected={progress[study.id]?.expected ?? study.expected ?? null}
                />
              </Flex>
            </Card>
          </li>
        ))}
      </ul>
    </section>
  );
}

function StudyName({ study }: { study: Study }) {
  return (
    <div>
      <strong>
        <PatientName name={study.patient_name} />
      </strong>
      <div className="quiet"><Parts of={[study.modality, study.description, dicomDay(study.study_date)]} /></div>
    </div>
  );
}
