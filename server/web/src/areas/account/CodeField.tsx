// The field for a code of the second factor: six digits, or a recovery code where that is taken.
import { Form, Input } from 'antd';
import { useTranslation } from 'react-i18next';

/** Field `code` of the form around it. */
export function CodeField({ recovery = false }: { recovery?: boolean }) {
  const { t } = useTranslation(['account', 'common']);
  return (
    <Form.Item
      name="code"
      label={t('account:code.label')}
      extra={recovery ? t('account:code.recovery') : undefined}
      normalize={(value: string) => value.trimStart()}
      rules={[{ required: true, message: t('account:code.missing') }]}
    >
      <Input size="large" autoComplete="one-time-code" inputMode={recovery ? 'text' : 'numeric'} autoCapitalize="none" spellCheck={false} maxLength={32} autoFocus style={{ letterSpacing: 2, fontVariantNumeric: 'tabular-nums' }} />
    </Form.Item>
  );
}
