// The request that goes with a study: chosen from those that wait, or written here; its patient is compared with the images'.
import { SendOutlined } from '@ant-design/icons';
import { Alert, Button, Checkbox, Input, Select } from 'antd';
import { type ReactNode, useId, useState } from 'react';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { newKey } from '@/api/request';
import { placesOf, useMe } from '@/app/session';
import { nameParts } from '@/shared/PatientName';
import { plainWords, Trouble } from '@/shared/Trouble';
import { BLOCKING, type Issue, TO_EXPLAIN } from '@/upload/group';
import type { Draft } from '@/upload';

import { OrderFields } from './OrderFields';
import { OrderPapers } from './OrderPapers';
import { OrderPatient } from './OrderPatient';
import { type Field, likely, mismatches, orderOf, waitingOrders } from './orders';
import { emptyOrder, fromOrder, submit, type Written } from './submitting';
import { useClinics } from './useClinics';

const TO_ACCEPT: Issue[] = ['patientsTogether', 'otherBytes', 'tooLarge'];
const LEAST_REASON = 4;
const NEW = 'new';

/** What one side says, as it is read: names without the marks between their parts. */
function shown(field: Field, value: string): string {
  const said = field === 'name' ? nameParts(value).first : value;
  return said === '' ? '—' : said;
}

/** With a direction of writing of its own within a sentence. */
function apart(text: string): string {
  return `\u2068${text}\u2069`;
}

export function OrderForm({ draft, discard }: { draft: Draft; discard: ReactNode }) {
  const { t } = useTranslation('technician');
  const places = placesOf(useMe(), 'technician');
  const clinics = useClinics(places);
  const [clinic, setClinic] = useState(places[0] ?? '');
  const waiting = useQuery({ queryKey: ['orders', 'waiting', clinic], queryFn: () => waitingOrders(clinic), enabled: clinic !== '' });
  const known = useQuery({ queryKey: ['orders', 'of', clinic, draft.uid], queryFn: () => orderOf(clinic, draft.uid), enabled: clinic !== '' });
  const [chosen, setChosen] = useState<string | null>(null);
  const [written, setWritten] = useState<Written>(() => emptyOrder(draft));
  const [papers, setPapers] = useState<File[]>([]);
  const [reason, setReason] = useState('');
  const [accepted, setAccepted] = useState(false);
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<unknown>(null);
  const [key] = useState(newKey);
  const id = useId();

  const orders = waiting.data ?? [];
  const suggested = likely(orders, draft);
  const tied = known.data ?? null;
  const picked = chosen === NEW ? null : (orders.find((order) => order.id === (chosen ?? suggested?.id)) ?? null);
  const current = tied ?? picked;
  const about = current ? fromOrder(current, written) : written;
  const differing = mismatches(about.patient, draft);
  const has = (issues: readonly Issue[]) => draft.issues.some((issue) => issues.includes(issue));
  // What its request says of a study that is there already was explained when it came.
  const needsReason = !tied && (differing.length > 0 || has(TO_EXPLAIN));
  const needsAccepting = has(TO_ACCEPT);
  const faults = {
    patient: about.patient.name.trim() === '' || about.patient.id.trim() === '',
    question: !tied && about.question.trim() === '',
    reason: needsReason && reason.trim().length < LEAST_REASON,
    accepted: needsAccepting && !accepted,
  };
  const incomplete = Object.values(faults).some(Boolean);

  const send = async () => {
    setTried(true);
    if (incomplete || clinic === '') return;
    setBusy(true);
    setTrouble(null);
    try {
      await submit({ draft, clinic, order: current, written: about, reason: needsReason ? reason.trim() : '', differing, papers, key });
    } catch (error) {
      setTrouble(error);
      setBusy(false);
    }
  };

  if (has(BLOCKING)) return <div className="order-foot">{discard}</div>;
  return (
    <form
      className="order-form"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <div className="order-choice">
        {places.length > 1 && (
          <label>
            <span>{t('technician:order.clinic')}</span>
            <Select value={clinic} onChange={setClinic} options={places.map((value) => ({ value, label: clinics.get(value) ?? value }))} />
          </label>
        )}
        {!tied && (
          <label>
            <span>{t('technician:order.which')}</span>
            <Select
              value={current?.id ?? NEW}
              loading={waiting.isLoading}
              onChange={setChosen}
              showSearch={{ optionFilterProp: 'label' }}
              options={[
                { value: NEW, label: t('technician:order.new') },
                ...orders.map((order) => ({ value: order.id, label: `${order.number} · ${order.patient_name} · ${order.modality} · ${order.patient_id}` })),
              ]}
            />
          </label>
        )}
      </div>
      {tied && <Alert type="info" showIcon title={t('technician:order.tied', { number: tied.number })} description={<bdi className="order-tied">{tied.question}</bdi>} />}
      {waiting.isError && <Trouble error={waiting.error} retry={() => void waiting.refetch()} />}
      {!current && <OrderPatient patient={written.patient} missing={tried && faults.patient} onChange={(patient) => setWritten({ ...written, patient })} />}
      {differing.length > 0 && (
        <Alert
          role="alert"
          type="error"
          showIcon
          title={t('technician:order.differs')}
          description={
            <ul className="order-differs">
              {differing.map((field) => (
                <li key={field}>
                  {t('technician:order.compared', { field: t(`technician:order.field.${field}`), order: apart(shown(field, about.patient[field])), images: apart(shown(field, draft.patient[field])) })}
                </li>
              ))}
            </ul>
          }
        />
      )}
      {needsReason && (
        <label className="order-wide" htmlFor={`${id}reason`}>
          <span>{t('technician:order.reason')}</span>
          <Input.TextArea
            id={`${id}reason`}
            value={reason}
            maxLength={500}
            autoSize={{ minRows: 2 }}
            status={tried && faults.reason ? 'error' : ''}
            placeholder={t('technician:order.reasonHint')}
            onChange={(event) => setReason(event.target.value)}
          />
        </label>
      )}
      {!tied && <OrderFields written={about} tried={tried} onChange={(change) => setWritten({ ...written, ...change })} />}
      <OrderPapers papers={papers} onChange={setPapers} />
      {needsAccepting && (
        <Checkbox checked={accepted} onChange={(event) => setAccepted(event.target.checked)}>
          {t('technician:order.accept')}
        </Checkbox>
      )}
      {tried && incomplete && (
        <Alert role="alert" type="warning" showIcon title={Object.entries(faults).filter(([, is]) => is).map(([name]) => t(`technician:order.missing.${name}`)).join(t('technician:order.then'))} />
      )}
      {trouble !== null && <Alert role="alert" type="error" showIcon title={plainWords(trouble)} />}
      <div className="order-foot">
        <Button type="primary" size="large" htmlType="submit" icon={<SendOutlined />} loading={busy || known.isLoading}>
          {t('technician:order.send')}
        </Button>
        {discard}
        <span className="quiet">{t('technician:order.sendExplain')}</span>
      </div>
    </form>
  );
}
