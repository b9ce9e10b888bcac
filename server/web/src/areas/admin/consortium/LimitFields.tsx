// Minutes within which a report is due, by priority, with the usual sets to begin from.
import { Button, Form, InputNumber, Space } from 'antd';
import { useTranslation } from 'react-i18next';

export interface Limits {
  stat_minutes: number;
  urgent_minutes: number;
  routine_minutes: number;
}

/** CT and MR of an emergency within 60 minutes, of an out-patient within four hours. */
export const STANDARD: Limits = { stat_minutes: 60, urgent_minutes: 120, routine_minutes: 240 };

/** The usual sets, by what they are for. */
export const SETS: Record<'ct' | 'dx' | 'ecg', Limits> = {
  ct: STANDARD,
  dx: { stat_minutes: 30, urgent_minutes: 60, routine_minutes: 120 },
  ecg: { stat_minutes: 10, urgent_minutes: 20, routine_minutes: 30 },
};

const FIELDS = ['stat_minutes', 'urgent_minutes', 'routine_minutes'] as const;

/** Field `limits` of the form around it. */
export function LimitFields() {
  const { t } = useTranslation(['admin', 'common']);
  const form = Form.useFormInstance();
  return (
    <fieldset style={{ border: 0, padding: 0, margin: '0 0 16px' }}>
      <legend style={{ padding: 0, marginBottom: 4 }}>{t('admin:agreements.limits')}</legend>
      <Space wrap style={{ marginBottom: 8 }}>
        {(Object.keys(SETS) as (keyof typeof SETS)[]).map((name) => (
          <Button key={name} size="small" onClick={() => form.setFieldValue('limits', SETS[name])}>
            {t(`admin:limits.set.${name}`)}
          </Button>
        ))}
      </Space>
      <Space wrap align="start">
        {FIELDS.map((name, index) => (
          <Form.Item
            key={name}
            name={['limits', name]}
            label={t(`admin:limits.${name}`)}
            style={{ marginBottom: 0 }}
            dependencies={FIELDS.slice(0, index).map((before) => ['limits', before])}
            rules={[
              { required: true, message: t('admin:form.required') },
              ({ getFieldValue }) => ({
                validator: (_rule, value: number) => {
                  const before = FIELDS[index - 1];
                  return before && value < Number(getFieldValue(['limits', before])) ? Promise.reject(new Error(t('admin:limits.order'))) : Promise.resolve();
                },
              }),
            ]}
          >
            <InputNumber min={1} max={43_200} precision={0} suffix={t('admin:limits.minutes')} style={{ width: 150 }} />
          </Form.Item>
        ))}
      </Space>
    </fieldset>
  );
}
