// For what cannot be undone: says what will happen, and asks for the name to be typed.
import { Alert, Input, Modal } from 'antd';
import { useId, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { plainWords } from '@/shared/Trouble';

interface Props {
  open: boolean;
  title: string;
  explain: ReactNode;
  /** What must be typed. */
  name: string;
  action: string;
  onDone: () => Promise<void>;
  onClose: () => void;
}

export function ConfirmTyped({ open, title, explain, name, action, onDone, onClose }: Props) {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const [typed, setTyped] = useState('');
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const field = useId();
  const right = typed.trim() === name.trim();

  function close() {
    setTyped('');
    setFault(null);
    onClose();
  }

  async function done() {
    if (!right || busy) return;
    setBusy(true);
    try {
      await onDone();
      close();
    } catch (error) {
      setFault(plainWords(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <Modal open={open} title={title} okText={action} okButtonProps={{ danger: true, disabled: !right }} confirmLoading={busy} onOk={() => void done()} onCancel={close} destroyOnHidden>
      <div style={{ marginBottom: 12 }}>{explain}</div>
      <label htmlFor={field}>{t('admin:confirm.type', { name })}</label>
      <Input id={field} value={typed} autoComplete="off" onChange={(event) => setTyped(event.target.value)} onPressEnter={() => void done()} />
      {fault && <Alert type="error" showIcon title={fault} style={{ marginTop: 12 }} />}
    </Modal>
  );
}
