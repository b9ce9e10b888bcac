// A form in a dialog: what the relay refuses stands at its field, a change by somebody else is explained, nothing is sent twice.
import { Alert, Button, Form, Modal, Space, type FormInstance } from 'antd';
import { useEffect, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { asProblem } from '@/api/problem';
import { plainWords } from '@/shared/Trouble';

import { useIntention } from './keys';

interface Props<T extends object> {
  open: boolean;
  title: string;
  /** The word on the button. */
  action: string;
  initial: Partial<T>;
  children: ReactNode | ((form: FormInstance<T>) => ReactNode);
  /** Sends it; `key` is for calls that create something. */
  onSend: (typed: T, key: string) => Promise<void>;
  onClose: () => void;
  /** Fetches what stands there now, after somebody else has changed it. */
  onStale?: () => void;
  width?: number;
  explain?: ReactNode;
}

export function EditDialog<T extends object>({ open, title, action, initial, children, onSend, onClose, onStale, width = 560, explain }: Props<T>) {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const [form] = Form.useForm<T>();
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<{ words: string; stale: boolean } | null>(null);
  const intention = useIntention();

  useEffect(() => {
    if (!open) return;
    setFault(null);
    intention.spent();
    form.resetFields();
  }, [open, form, intention]);

  async function send(typed: T) {
    setBusy(true);
    setFault(null);
    try {
      await onSend(typed, intention.keyFor(typed));
      onClose();
    } catch (error) {
      const problem = asProblem(error);
      const words = problem.code === 'TAKEN' ? t('admin:form.taken') : plainWords(error);
      const field = problem.field?.split('.')[0];
      if (field && Object.keys(form.getFieldsValue(true) as object).includes(field)) {
        form.setFields([{ name: field as never, errors: [words] }]);
      } else setFault({ words, stale: problem.code === 'VERSION_CONFLICT' });
    } finally {
      setBusy(false);
    }
  }

  return (
    <Modal open={open} title={title} footer={null} width={width} mask={{ closable: false }} destroyOnHidden onCancel={onClose}>
      {explain !== undefined && <div style={{ marginBottom: 12 }}>{explain}</div>}
      <Form<T> form={form} layout="vertical" initialValues={initial} onFinish={(typed) => void send(typed)} scrollToFirstError>
        {typeof children === 'function' ? children(form) : children}
        {fault && (
          <Alert
            role="alert"
            type="error"
            showIcon
            title={fault.stale ? t('admin:form.stale') : fault.words}
            action={
              fault.stale && onStale ? (
                <Button
                  size="small"
                  onClick={() => {
                    onStale();
                    onClose();
                  }}
                >
                  {t('admin:form.reload')}
                </Button>
              ) : undefined
            }
            style={{ marginBottom: 12 }}
          />
        )}
        <Space>
          <Button type="primary" htmlType="submit" loading={busy}>
            {action}
          </Button>
          <Button onClick={onClose}>{t('common:cancel')}</Button>
        </Space>
      </Form>
    </Modal>
  );
}
