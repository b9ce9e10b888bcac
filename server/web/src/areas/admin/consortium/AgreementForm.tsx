// The form of an agreement.
import { Form, Input, InputNumber, Radio, Select } from 'antd';
import { useTranslation } from 'react-i18next';

import { now } from '@/shared/time';

import { dateField } from '../desk/periods';
import { EditDialog } from '../parts/EditDialog';
import { Modalities } from '../parts/Modalities';
import { choicesOf, usePlaces } from '../parts/places';
import type { Agreement } from './Agreements';
import { LimitFields, STANDARD, type Limits } from './LimitFields';

/** What was typed, with days as microseconds. */
export interface Typed {
  clinic: string;
  centre: string;
  modalities?: string[];
  limits: Limits;
  policy: string;
  weight: number;
  validFrom: number | null;
  validTo: number | null;
}

interface Fields {
  clinic: string;
  centre: string;
  modalities?: string[];
  limits: Limits;
  policy: string;
  weight: number;
  from?: string;
  to?: string;
}

interface Props {
  open: boolean;
  agreement: Agreement | null;
  onSend: (typed: Typed, key: string) => Promise<void>;
  onClose: () => void;
  onStale: () => void;
}

/** The local midnight at the beginning of a day, `more` days on. */
function midnight(text: string | undefined, more = 0): number | null {
  const [year, month, date] = (text ?? '').split('-').map(Number);
  return year && month && date ? new Date(year, month - 1, date + more).getTime() * 1_000 : null;
}

export function AgreementForm({ open, agreement, onSend, onClose, onStale }: Props) {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const { places } = usePlaces();
  const usable = places.filter((place) => !place.closed_at);
  const clinics = usable.filter((place) => place.kind === 'township_clinic' || place.kind === 'village_clinic' || place.kind === 'county_hospital');
  const centres = usable.filter((place) => place.kind === 'lead_hospital' || place.kind === 'county_hospital');
  const initial: Partial<Fields> = agreement
    ? {
        clinic: agreement.clinic,
        centre: agreement.centre,
        modalities: agreement.modalities,
        limits: agreement.limits,
        policy: agreement.policy,
        weight: agreement.weight,
        ...(agreement.valid_to ? { to: dateField(agreement.valid_to - 1) } : {}),
      }
    : { limits: STANDARD, policy: 'double', weight: 1, ...(clinics.length === 1 && clinics[0] ? { clinic: clinics[0].id } : {}), ...(centres.length === 1 && centres[0] ? { centre: centres[0].id } : {}) };

  function send(fields: Fields, key: string): Promise<void> {
    const from = midnight(fields.from);
    return onSend(
      {
        clinic: fields.clinic,
        centre: fields.centre,
        modalities: fields.modalities ?? [],
        limits: fields.limits,
        policy: fields.policy,
        weight: fields.weight,
        validFrom: from !== null && from > now() ? from : null,
        validTo: midnight(fields.to, 1),
      },
      key,
    );
  }

  return (
    <EditDialog<Fields>
      open={open}
      title={agreement ? `${agreement.clinic_name} → ${agreement.centre_name}` : t('admin:agreements.create')}
      explain={agreement ? t('admin:agreements.fromNow') : undefined}
      action={agreement ? t('admin:save') : t('admin:create')}
      initial={initial}
      onSend={send}
      onClose={onClose}
      onStale={onStale}
      width={620}
    >
      {!agreement && (
        <>
          <Form.Item name="clinic" label={t('admin:agreements.clinic')} rules={[{ required: true, message: t('admin:form.required') }]}>
            <Select showSearch={{ optionFilterProp: 'label' }} options={choicesOf(clinics)} />
          </Form.Item>
          <Form.Item name="centre" label={t('admin:agreements.centre')} rules={[{ required: true, message: t('admin:form.required') }]}>
            <Select showSearch={{ optionFilterProp: 'label' }} options={choicesOf(centres)} />
          </Form.Item>
        </>
      )}
      <Modalities label={t('admin:agreements.modalities')} help={t('admin:agreements.modalitiesHelp')} />
      <LimitFields />
      <Form.Item name="policy" label={t('admin:agreements.policy')}>
        <Radio.Group options={['double', 'single_senior'].map((policy) => ({ value: policy, label: t(`admin:policy.${policy}`) }))} />
      </Form.Item>
      <Form.Item name="weight" label={t('admin:agreements.weight')} extra={t('admin:agreements.weightHelp')}>
        <InputNumber min={1} max={100} precision={0} />
      </Form.Item>
      {!agreement && (
        <Form.Item name="from" label={t('admin:agreements.from')} extra={t('admin:agreements.fromHelp')}>
          <Input type="date" style={{ width: 180 }} />
        </Form.Item>
      )}
      <Form.Item name="to" label={t('admin:agreements.to')} extra={t('admin:agreements.toHelp')}>
        <Input type="date" style={{ width: 180 }} />
      </Form.Item>
    </EditDialog>
  );
}
