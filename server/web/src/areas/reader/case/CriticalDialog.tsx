// Raising a critical finding: what it is, in words that the clinic can read back; it goes out at once, before the report is signed.
import { Alert, Input, Modal, Select } from 'antd';
import { useId, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { newKey } from '@/api/request';
import { findingCodesFor } from '@/shared/codes';
import { useFirstField } from '@/shared/focus';
import { plainWords } from '@/shared/Trouble';
import { findingWord } from '@/shared/words';

import { raiseFinding } from '../api';
import { refreshCase } from './useCase';

interface Props {
  open: boolean;
  id: string;
  modality: string;
  clinic: string;
  onRaised: () => void;
  onClose: () => void;
}

export function CriticalDialog({ open, id, modality, clinic, onRaised, onClose }: Props) {
  const { t } = useTranslation('reader');
  const [code, setCode] = useState<string | null>(null);
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const intention = useRef<{ what: string; key: string } | null>(null);
  const field = useId();
  const { body, afterOpenChange } = useFirstField();

  async function send() {
    if (!code || text.trim() === '' || busy) return;
    const what = JSON.stringify([code, text]);
    if (intention.current?.what !== what) intention.current = { what, key: newKey() };
    setBusy(true);
    setFault(null);
    try {
      await raiseFinding(id, { code, text: text.trim() }, intention.current.key);
      setCode(null);
      setText('');
      refreshCase(id);
      onRaised();
    } catch (error) {
      setFault(plainWords(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <Modal
      open={open}
      title={t('reader:critical.title')}
      okText={t('reader:critical.send')}
      okButtonProps={{ danger: true, disabled: code === null || text.trim() === '' }}
      confirmLoading={busy}
      onOk={() => void send()}
      onCancel={onClose}
      mask={{ closable: false }}
      afterOpenChange={afterOpenChange}
      zIndex={1100}
      destroyOnHidden
    >
      <div className="report" ref={body}>
        <Alert type="warning" showIcon title={t('reader:critical.happens', { clinic })} />
        <Select
          autoFocus
          showSearch={{ optionFilterProp: 'label' }}
          value={code}
          placeholder={t('reader:critical.code')}
          aria-label={t('reader:critical.code')}
          options={findingCodesFor(modality).map((value) => ({ value, label: findingWord(value) }))}
          onChange={setCode}
        />
        <label htmlFor={field}>{t('reader:critical.text')}</label>
        <Input.TextArea id={field} value={text} maxLength={1000} autoSize={{ minRows: 3, maxRows: 8 }} onChange={(event) => setText(event.target.value)} />
        {fault && <Alert type="error" showIcon title={fault} />}
      </div>
    </Modal>
  );
}
