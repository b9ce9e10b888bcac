// One case as the clinic sees it: the report to read, acknowledge and print, the images, what was said, and what is to be done.
import { ArrowLeftOutlined } from '@ant-design/icons';
import { Link, useLocation, useNavigate, useParams } from '@tanstack/react-router';
import { Descriptions, Flex, Skeleton, Tabs } from 'antd';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import { FrameViewer } from '@/areas/viewer';
import { Countdown } from '@/shared/Countdown';
import { Parts } from '@/shared/Parts';
import { PatientName, SexAge } from '@/shared/PatientName';
import { PriorityTag } from '@/shared/PriorityTag';
import { StageTag } from '@/shared/StageTag';
import { dicomDay, moment } from '@/shared/time';
import { Trouble } from '@/shared/Trouble';

import './clinic.css';
import { useCase, useClinicLive, type CaseDetail } from './data';
import { Findings } from './Findings';
import { Papers } from './Papers';
import { Reports } from './Reports';
import { ReturnedCase } from './ReturnedCase';
import { Talk } from './Talk';

const SIGNED = ['final', 'delivered', 'closed'];
/** Pixels: how high the images are at most and at least, and what the names of the parts above them take. */
const [MOST_PICTURE, LEAST_PICTURE, TABS] = [960, 320, 72];
const PARTS = ['report', 'images', 'talk', 'request'];

export function CasePage() {
  const { t } = useTranslation('clinic');
  const { case: id } = useParams({ strict: false }) as { case: string };
  const part = useLocation({ select: (location) => location.hash });
  const navigate = useNavigate();
  useClinicLive();
  const found = useCase(id);
  if (found.error) return <Trouble error={found.error} retry={() => void found.refetch()} />;
  if (!found.data) return <Skeleton active className="clinic-page" />;
  const detail = found.data;
  return (
    <main className="clinic-page">
      <Link to="/reports" className="clinic-back">
        <ArrowLeftOutlined aria-hidden /> {t('clinic:case.back')}
      </Link>
      <Head detail={detail} />
      <Findings of={id} />
      <Returned detail={detail} />
      <Tabs
        destroyOnHidden
        activeKey={PARTS.includes(part) ? part : 'report'}
        onChange={(hash) => void navigate({ to: '.', hash, replace: true, resetScroll: false })}
        items={[
          { key: 'report', label: t('clinic:case.report'), children: <Reports detail={detail} /> },
          { key: 'images', label: t('clinic:case.images'), children: <Images detail={detail} /> },
          { key: 'talk', label: t('clinic:case.talk'), children: <Talk id={id} /> },
          { key: 'request', label: t('clinic:case.request'), children: <Asked detail={detail} /> },
        ]}
      />
    </main>
  );
}

function Head({ detail }: { detail: CaseDetail }) {
  const { study } = detail;
  // While a case is with the clinic its time stands still.
  const open = ![...SIGNED, 'returned'].includes(detail.case.stage);
  return (
    <Flex gap="small" justify="space-between" wrap>
      <div>
        <h1>
          <PatientName name={study.patient_name} /> <SexAge sex={study.patient_sex} birth={study.patient_birth_date} on={study.study_date} />
        </h1>
        <div className="quiet"><Parts of={[study.modality, study.description, dicomDay(study.study_date), detail.number]} /></div>
      </div>
      <Flex gap="small" align="center" wrap>
        <PriorityTag priority={detail.case.priority} />
        <StageTag stage={detail.case.stage} note={detail.holder_name ?? null} />
        {open && <Countdown from={detail.case.opened_at} due={detail.case.deadline} />}
      </Flex>
    </Flex>
  );
}

function Returned({ detail }: { detail: CaseDetail }) {
  const { t } = useTranslation('clinic');
  const why = detail.returned;
  if (detail.case.stage !== 'returned' || !why) return null;
  return (
    <section className="clinic-returned" aria-label={t('clinic:cases.returned')}>
      <ReturnedCase id={detail.case.id} why={why} linked={false} />
    </section>
  );
}

function Images({ detail }: { detail: CaseDetail }) {
  const { study } = detail;
  const label = [dicomDay(study.study_date), study.description ?? study.modality].filter(Boolean).join(' ');
  const box = useRef<HTMLDivElement>(null);
  // The picture and everything that it is worked by are on the screen at once, whatever stands above.
  useEffect(() => {
    const [shown, around] = [box.current, box.current?.closest('.shell-main')];
    if (!shown || !around) return;
    const fit = () => {
      shown.style.height = `${Math.min(MOST_PICTURE, Math.max(LEAST_PICTURE, around.clientHeight - TABS))}px`;
      shown.scrollIntoView({ block: 'end' });
    };
    const watch = new ResizeObserver(fit);
    watch.observe(around);
    return () => watch.disconnect();
  }, []);
  return (
    <div className="clinic-images" ref={box}>
      <FrameViewer studies={[{ id: study.id, uid: study.uid, label, prior: false, modality: study.modality, bodyPart: study.body_part ?? null }]} />
    </div>
  );
}

function Asked({ detail }: { detail: CaseDetail }) {
  const { t } = useTranslation('clinic');
  const { order } = detail;
  if (!order) return <p>{t('clinic:case.noOrder')}</p>;
  const long = (text: string) => <span style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>{text || '–'}</span>;
  return (
    <>
      <Descriptions
        column={1}
        size="small"
        bordered
        items={[
          { key: 'number', label: t('clinic:case.number'), children: order.number },
          { key: 'history', label: t('clinic:case.history'), children: long(order.history) },
          { key: 'question', label: t('clinic:case.question'), children: long(order.question) },
          { key: 'at', label: t('clinic:case.orderedAt'), children: moment(order.created_at) },
        ]}
      />
      <Papers order={order.id} open={!SIGNED.includes(detail.case.stage)} />
    </>
  );
}
