// Choosing modalities by their DICOM codes; none chosen means every one.
import { Form, Select } from 'antd';
import { useTranslation } from 'react-i18next';

const COMMON = ['CT', 'MR', 'DX', 'CR', 'MG', 'US', 'RF', 'XA', 'NM', 'PT', 'ECG', 'ES', 'OT'];

/** Field `modalities` of the form around it. */
export function Modalities({ label, help }: { label: string; help: string }) {
  const { t } = useTranslation(['admin', 'common']);
  return (
    <Form.Item name="modalities" label={label} extra={help} normalize={(codes: string[]) => codes.map((code) => code.trim().toUpperCase()).filter(Boolean)}>
      <Select mode="tags" tokenSeparators={[',', ' ', '，', '、']} placeholder={t('admin:modalities.all')} options={COMMON.map((code) => ({ value: code, label: `${code} ${t(`admin:modalities.${code}`)}` }))} optionLabelProp="value" />
    </Form.Item>
  );
}
