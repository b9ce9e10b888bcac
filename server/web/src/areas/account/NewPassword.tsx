// Two fields for a new password, with the rules ticked off while one types.
import { CheckCircleFilled, MinusCircleOutlined } from '@ant-design/icons';
import { Form, Input } from 'antd';
import { useTranslation } from 'react-i18next';

import { fits, judged, type Rule } from './passwords';

const RULES: readonly Rule[] = ['length', 'different', 'login', 'common'];

/** Fields `password` and `again` of the form around it; `login` is whose password it becomes, `first` begins in it. */
export function NewPassword({ login, label, first = false }: { login: string; label?: string; first?: boolean }) {
  const { t } = useTranslation(['account', 'common']);
  const typed = (Form.useWatch<string | undefined>('password') ?? '').normalize();
  const rules = judged(typed, login);
  return (
    <>
      <Form.Item
        name="password"
        label={label ?? t('account:password.new')}
        validateTrigger="onBlur"
        rules={[{ validator: (_rule, value: string | undefined) => (fits(value ?? '', login) ? Promise.resolve() : Promise.reject(new Error(t('account:password.unfit')))) }]}
      >
        <Input.Password autoComplete="new-password" maxLength={256} aria-describedby="password-rules" autoFocus={first} />
      </Form.Item>
      <ul id="password-rules" style={{ listStyle: 'none', padding: 0, margin: '-12px 0 16px', fontSize: 13 }}>
        {RULES.map((rule) => (
          <li key={rule} style={{ display: 'flex', gap: 6 }}>
            {rules[rule] && typed ? <CheckCircleFilled style={{ color: '#2b8a3e' }} aria-label={t('account:password.met')} /> : <MinusCircleOutlined style={{ opacity: 0.6 }} aria-label={t('account:password.unmet')} />}
            {t(`account:password.rule.${rule}`)}
          </li>
        ))}
      </ul>
      <Form.Item
        name="again"
        label={t('account:password.again')}
        dependencies={['password']}
        validateTrigger="onBlur"
        rules={[
          ({ getFieldValue }) => ({
            validator: (_rule, value: string | undefined) => (value === getFieldValue('password') ? Promise.resolve() : Promise.reject(new Error(t('account:password.differs')))),
          }),
        ]}
      >
        <Input.Password autoComplete="new-password" maxLength={256} />
      </Form.Item>
    </>
  );
}
