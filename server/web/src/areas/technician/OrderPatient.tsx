// The patient of a new request, filled in from the images: what is corrected here is compared with them.
import { Input, Select } from 'antd';
import { useId } from 'react';
import { useTranslation } from 'react-i18next';

import type { Identity } from './orders';

interface Props {
  patient: Identity;
  missing: boolean;
  onChange: (patient: Identity) => void;
}

export function OrderPatient({ patient, missing, onChange }: Props) {
  const { t } = useTranslation('technician');
  const id = useId();
  const text = (field: 'name' | 'id' | 'birthDate', most: number) => (
    <label htmlFor={`${id}${field}`}>
      <span>{t(`technician:order.field.${field}`)}</span>
      <Input
        id={`${id}${field}`}
        value={patient[field]}
        maxLength={most}
        status={missing && field !== 'birthDate' && patient[field].trim() === '' ? 'error' : ''}
        placeholder={field === 'birthDate' ? t('technician:order.dateHint') : ''}
        onChange={(event) => onChange({ ...patient, [field]: field === 'birthDate' ? event.target.value.replaceAll(/\D/g, '').slice(0, 8) : event.target.value })}
      />
    </label>
  );
  return (
    <div className="order-patient">
      {text('name', 64)}
      {text('id', 64)}
      <label htmlFor={`${id}sex`}>
        <span>{t('technician:order.field.sex')}</span>
        <Select
          id={`${id}sex`}
          value={patient.sex}
          onChange={(sex: string) => onChange({ ...patient, sex })}
          options={['M', 'F', 'O', ''].map((value) => ({ value, label: t(`technician:order.sex.${value || 'unknown'}`) }))}
        />
      </label>
      {text('birthDate', 10)}
    </div>
  );
}
