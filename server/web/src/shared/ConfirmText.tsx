// Asks for a reason, or for words of one's own, before something is done that others will see.
import { Alert, Input, Modal } from 'antd';
import { useId, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { useFirstField } from './focus';
import { plainWords } from './Trouble';

interface Props {
  open: boolean;
  title: string;
  /** What it is for, above the field. */
  explain?: ReactNode;
  label: string;
  /** The word on the button that does it. */
  action: string;
  danger?: boolean;
  /** Characters at least; 1 unless said. 0 makes the text optional. */
  least?: number;
  most?: number;
  initial?: string;
  /** Does it; what it throws is shown and the text stays. */
  onDone: (text: string) => Promise<void>;
  onClose: () => void;
}

export function ConfirmText({ open, title, explain, label, action, danger = false, least = 1, most = 1000, initial = '', onDone, onClose }: Props) {
  const { t } = useTranslation('shared');
  const [text, setText] = useState(initial);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const field = useId();
  const { body, afterOpenChange } = useFirstField();
  const short = [...text.trim()].length < least;

  async function done() {
    if (busy || short) return;
    setBusy(true);
    setFault(null);
    try {
      await onDone(text.trim());
      setText(initial);
      onClose();
    } catch (error) {
      setFault(plainWords(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <Modal
      open={open}
      title={title}
      okText={action}
      okButtonProps={{ danger, disabled: short }}
      confirmLoading={busy}
      onOk={() => void done()}
      onCancel={onClose}
      mask={{ closable: false }}
      afterOpenChange={afterOpenChange}
      destroyOnHidden
    >
      <div ref={body}>
        {explain && <div style={{ marginBottom: 12 }}>{explain}</div>}
        <label htmlFor={field}>{label}</label>
        <Input.TextArea id={field} autoFocus value={text} maxLength={most} autoSize={{ minRows: 3, maxRows: 10 }} onChange={(event) => setText(event.target.value)} />
        {least > 1 && short && <div className="quiet">{t('shared:atLeast', { count: least })}</div>}
        {fault && <Alert type="error" showIcon title={fault} style={{ marginTop: 12 }} />}
      </div>
    </Modal>
  );
}
