// One study and the orders that it could belong to, side by side with what differs; the right one is chosen by a person.
import { CheckCircleFilled, CloseCircleFilled, MinusOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { Alert, App, Button, Card, Descriptions, Input, Skeleton } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { PageTitle } from '@/app/PageTitle';
import { queries } from '@/app/queries';
import { request } from '@/api/request';
import { Parts } from '@/shared/Parts';
import { PatientName, SexAge } from '@/shared/PatientName';
import { dicomDay, moment } from '@/shared/time';
import { Nothing, plainWords, Trouble } from '@/shared/Trouble';

import { everything } from '../parts/paged';
import { usePlaces } from '../parts/places';
import { match, type Order, type Study } from './api';
import { otherPatient, ranked, type Candidate } from './candidates';

const SHOWN = 12;

function Same({ same }: { same: boolean | null }) {
  const { t } = useTranslation(['admin', 'common']);
  if (same === null) return <MinusOutlined role="img" aria-label={t('admin:unmatched.unknown')} />;
  return same ? <CheckCircleFilled role="img" className="state-good" aria-label={t('admin:unmatched.same')} /> : <CloseCircleFilled role="img" className="state-bad" aria-label={t('admin:unmatched.differs')} />;
}

function Compared({ candidate, onChoose, busy }: { candidate: Candidate; onChoose: () => void; busy: boolean }) {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const said = (name: string, value: string) => (name === 'sex' && ['M', 'F', 'O'].includes(value) ? t(`shared:sex.${value}`) : value || '–');
  return (
    <Card size="small" title={t('admin:unmatched.order', { number: candidate.order.number })} extra={<Button type="primary" size="small" loading={busy} onClick={onChoose}>{t('admin:unmatched.choose')}</Button>}>
      <table className="compare">
        <thead>
          <tr>
            <th />
            <th scope="col">{t('admin:unmatched.ofStudy')}</th>
            <th scope="col">{t('admin:unmatched.ofOrder')}</th>
            <th scope="col">{t('admin:unmatched.verdict')}</th>
          </tr>
        </thead>
        <tbody>
          {candidate.fields.filter((field) => field.name !== 'uid' || field.same !== null).map((field) => (
            <tr key={field.name}>
              <th scope="row">{t(`admin:unmatched.field.${field.name}`)}</th>
              <td>{said(field.name, field.study)}</td>
              <td className={field.same === false ? 'differs' : ''}>{said(field.name, field.order)}</td>
              <td>
                <Same same={field.same} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {candidate.order.question && <p style={{ margin: '8px 0 0' }}>{candidate.order.question}</p>}
    </Card>
  );
}

export function UnmatchedStudy() {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const { study: id } = useParams({ strict: false }) as { study: string };
  const navigate = useNavigate();
  const { modal, message } = App.useApp();
  const { nameOf } = usePlaces();
  const [text, setText] = useState('');
  const [busy, setBusy] = useState<string | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const study = useQuery({ queryKey: ['unmatched', 'study', id], queryFn: () => request<{ study: Study }>('GET', `/api/v1/studies/${encodeURIComponent(id)}`).then((detail) => detail.study) });
  const clinic = study.data?.clinic ?? '';
  const orders = useQuery({ queryKey: ['unmatched', 'orders', clinic], queryFn: () => everything<Order>('/api/v1/orders', { clinic, matched: false }, 1_000), enabled: clinic !== '' });

  async function choose(candidate: Candidate) {
    setBusy(candidate.order.id);
    setFault(null);
    try {
      await match(id, candidate.order.id);
      await queries.invalidateQueries({ queryKey: ['unmatched'] });
      void message.success(t('admin:unmatched.done'));
      await navigate({ to: '/unmatched' });
    } catch (error) {
      setFault(plainWords(error));
    } finally {
      setBusy(null);
    }
  }

  function ask(candidate: Candidate) {
    if (!otherPatient(candidate)) return void choose(candidate);
    modal.confirm({ title: t('admin:unmatched.sure'), content: t('admin:unmatched.sureHelp'), okText: t('admin:unmatched.sureYes'), okButtonProps: { danger: true }, cancelText: t('common:cancel'), onOk: () => choose(candidate) });
  }

  if (study.isError) return <div className="page"><Trouble error={study.error} retry={() => void study.refetch()} /></div>;
  if (!study.data) return <div className="page"><Skeleton active /></div>;
  const wanted = text.trim().toLowerCase();
  const all = ranked(study.data, orders.data ?? []);
  const found = wanted === '' ? all : all.filter(({ order }) => [order.patient_name, order.patient_id, order.number, order.accession ?? ''].some((value) => value.toLowerCase().includes(wanted)));
  const known = study.data;
  const identity = [
    { key: 'name', label: t('admin:column.patient'), children: <PatientName name={known.patient_name} /> },
    { key: 'who', label: t('admin:column.sexAge'), children: <SexAge sex={known.patient_sex} birth={known.patient_birth_date} on={known.study_date ?? null} /> },
    { key: 'id', label: t('admin:column.patientId'), children: known.patient_id || '–' },
    { key: 'study', label: t('admin:column.study'), children: <Parts of={[known.modality, known.body_part, known.description, dicomDay(known.study_date)]} /> },
    { key: 'accession', label: t('admin:unmatched.field.accession'), children: known.accession ?? '–' },
    { key: 'came', label: t('admin:column.arrived'), children: moment(known.last_at) },
  ];
  return (
    <div className="page">
      <PageTitle title={t('admin:unmatched.one')} lead={`${nameOf(clinic)} · ${t(`admin:trouble.${study.data.trouble ?? 'none'}`)}`} actions={<Link to="/unmatched">{t('admin:back')}</Link>} />
      {study.data.trouble === 'no_agreement' && <Alert type="warning" showIcon title={t('admin:unmatched.noAgreement')} style={{ marginBottom: 12 }} />}
      {study.data.order && <Alert type="success" showIcon title={t('admin:unmatched.already')} style={{ marginBottom: 12 }} />}
      {fault && <Alert role="alert" type="error" showIcon title={fault} style={{ marginBottom: 12 }} />}
      <Descriptions size="small" column={{ xs: 1, md: 3 }} items={identity} style={{ marginBottom: 12 }} />
      <Input.Search allowClear placeholder={t('admin:unmatched.search')} aria-label={t('admin:unmatched.search')} value={text} onChange={(event) => setText(event.target.value)} style={{ maxWidth: 420, marginBottom: 12 }} />
      {orders.isError && <Trouble error={orders.error} retry={() => void orders.refetch()} />}
      {orders.isPending && <Skeleton active />}
      {orders.data && found.length === 0 && <Nothing text={t('admin:unmatched.noOrders')} />}
      <div style={{ display: 'grid', gap: 12, gridTemplateColumns: 'repeat(auto-fill, minmax(min(420px, 100%), 1fr))' }}>
        {found.slice(0, SHOWN).map((candidate) => (
          <Compared key={candidate.order.id} candidate={candidate} busy={busy === candidate.order.id} onChoose={() => ask(candidate)} />
        ))}
      </div>
      {found.length > SHOWN && <p className="quiet">{t('admin:unmatched.narrow', { count: found.length - SHOWN })}</p>}
    </div>
  );
}
