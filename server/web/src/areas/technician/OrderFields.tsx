// What a request asks: question, history, how soon, and of which part of the body.
import { Input, Radio, Select } from 'antd';
import { useId } from 'react';
import { useTranslation } from 'react-i18next';

import type { Written } from './submitting';
import { PARTS, partText } from './words';

const PRIORITIES = ['stat', 'urgent', 'routine'] as const;

interface Props {
  written: Written;
  tried: boolean;
  onChange: (change: Partial<Written>) => void;
}

export function OrderFields({ written, tried, onChange }: Props) {
  const { t } = useTranslation('technician');
  const id = useId();
  const parts = written.bodyPart !== '' && !PARTS.includes(written.bodyPart) ? [written.bodyPart, ...PARTS] : PARTS;
  const known = (part: string) => (PARTS.includes(part) ? `${partText(part)} ${part}` : part);
  return (
    <div className="order-fields">
      <label className="order-wide" htmlFor={`${id}question`}>
        <span>{t('technician:order.question')}</span>
        <Input.TextArea
          id={`${id}question`}
          value={written.question}
          maxLength={2_000}
          autoSize={{ minRows: 2, maxRows: 8 }}
          status={tried && written.question.trim() === '' ? 'error' : ''}
          placeholder={t('technician:order.questionHint')}
          onChange={(event) => onChange({ question: event.target.value })}
        />
      </label>
      <label className="order-wide" htmlFor={`${id}history`}>
        <span>{t('technician:order.history')}</span>
        <Input.TextArea
          id={`${id}history`}
          value={written.history}
          maxLength={4_000}
          autoSize={{ minRows: 2, maxRows: 8 }}
          placeholder={t('technician:order.historyHint')}
          onChange={(event) => onChange({ history: event.target.value })}
        />
      </label>
      <fieldset className="order-priority">
        <legend>{t('technician:order.priority')}</legend>
        <Radio.Group value={written.priority} onChange={(event) => onChange({ priority: event.target.value as Written['priority'] })}>
          {PRIORITIES.map((priority) => (
            <Radio key={priority} value={priority}>
              <b>{t(`technician:priority.${priority}.name`)}</b> <span className="quiet">{t(`technician:priority.${priority}.explain`)}</span>
            </Radio>
          ))}
        </Radio.Group>
      </fieldset>
      <label htmlFor={`${id}part`}>
        <span>{t('technician:order.bodyPart')}</span>
        <Select
          id={`${id}part`}
          value={written.bodyPart === '' ? null : written.bodyPart}
          allowClear
          showSearch={{ optionFilterProp: 'label' }}
          placeholder={t('technician:order.bodyPartHint')}
          onChange={(part: string | undefined) => onChange({ bodyPart: part ?? '' })}
          options={parts.map((part) => ({ value: part, label: known(part) }))}
        />
      </label>
    </div>
  );
}
