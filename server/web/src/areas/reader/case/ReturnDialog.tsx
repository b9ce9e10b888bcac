// Returning a case to its clinic: what is the matter, what they are to do, and that the clock stops meanwhile.
import { Alert, Input, Modal, Select } from 'antd';
import { useId, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { newKey } from '@/api/request';
import { returnCodesFor } from '@/shared/codes';
import { useFirstField } from '@/shared/focus';
import { plainWords } from '@/shared/Trouble';
import { ReturnReason, returnWord } from '@/shared/words';

import { returnCase, type Proof } from '../api';

interface Props {
  open: boolean;
  id: string;
  modality: string;
  proof: Proof | null;
  onReturned: () => void;
  onClose: () => void;
}

export function ReturnDialog({ open, id, modality, proof, onReturned, onClose }: Props) {
  const { t } = useTranslation('reader');
  const [code, setCode] = useState<string | null>(null);
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const intention = useRef<{ what: string; key: string } | null>(null);
  const field = useId();
  const { body, afterOpenChange } = useFirstField();

  async function send() {
    if (!code || busy) return;
    const what = JSON.stringify([code, text, proof?.fence]);
    if (intention.current?.what !== what) intention.current = { what, key: newKey() };
    setBusy(true);
    setFault(null);
    try {
      await returnCase(id, { ...(proof ? { proof } : {}), code, text: text.trim() }, intention.current.key);
      onReturned();
    } catch (error) {
      setFault(plainWords(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <Modal
      open={open}
      title={t('reader:return.title')}
      okText={t('reader:return.send')}
      okButtonProps={{ disabled: code === null, danger: true }}
      confirmLoading={busy}
      onOk={() => void send()}
      onCancel={onClose}
      mask={{ closable: false }}
      afterOpenChange={afterOpenChange}
    >
      <div className="report" ref={body}>
        <p style={{ margin: 0 }}>{t('reader:return.explain')}</p>
        <Select
          autoFocus
          showSearch={{ optionFilterProp: 'label' }}
          value={code}
          placeholder={t('reader:return.code')}
          aria-label={t('reader:return.code')}
          options={returnCodesFor(modality).map((value) => ({ value, label: returnWord(value) }))}
          onChange={setCode}
        />
        {code && <Alert type="info" title={<ReturnReason code={code} />} />}
        <label htmlFor={field}>{t('reader:return.text')}</label>
        <Input.TextArea id={field} value={text} maxLength={2000} autoSize={{ minRows: 3, maxRows: 8 }} onChange={(event) => setText(event.target.value)} />
        {fault && <Alert type="error" showIcon title={fault} />}
      </div>
    </Modal>
  );
}
