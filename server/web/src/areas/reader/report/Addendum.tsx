// Adding to a final report: a further signed version, with the reason; the clinic receives and acknowledges it again.
import { Alert, Button, Input, Modal } from 'antd';
import { useEffect, useId, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { newKey } from '@/api/request';
import { plainWords } from '@/shared/Trouble';

import { addAddendum, type Writing } from '../api';
import { refreshCase } from '../case/useCase';
import { Field } from './Field';
import { EMPTY, same } from './keeper';
import { forget, keep, kept } from './recovery';
import { usePhrases } from './useTemplates';

interface Props {
  id: string;
  modality: string;
  bodyPart: string | null;
  open: boolean;
  onClose: () => void;
}

export function Addendum({ id, modality, bodyPart, open, onClose }: Props) {
  const { t } = useTranslation('reader');
  const phrases = usePhrases(modality, bodyPart);
  const [text, setText] = useState<Writing>(EMPTY);
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const intention = useRef<{ what: string; key: string } | null>(null);
  const field = useId();
  const name = `${id}.addendum`;

  useEffect(() => {
    if (open) void kept(name).then((found) => found && setText(found.text));
  }, [open, name]);

  function write(change: Partial<Writing>) {
    const next = { ...text, ...change };
    setText(next);
    keep(name, next, null);
  }

  async function sign() {
    if (busy) return;
    const what = JSON.stringify([text, reason]);
    if (intention.current?.what !== what) intention.current = { what, key: newKey() };
    setBusy(true);
    setFault(null);
    try {
      await addAddendum(id, text, reason.trim(), intention.current.key);
      forget(name);
      setText(EMPTY);
      setReason('');
      refreshCase(id);
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
      width={720}
      title={t('reader:addendum.title')}
      mask={{ closable: false }}
      onCancel={onClose}
      footer={[
        <Button key="close" onClick={onClose}>
          {t('reader:addendum.later')}
        </Button>,
        <Button key="sign" type="primary" loading={busy} disabled={same(text, EMPTY) || reason.trim() === ''} onClick={() => void sign()}>
          {t('reader:addendum.sign')}
        </Button>,
      ]}
    >
      <div className="report">
        <Alert type="info" title={t('reader:addendum.explain')} />
        <div>
          <label htmlFor={field}>{t('reader:addendum.why')}</label>
          <Input id={field} autoFocus value={reason} maxLength={300} onChange={(event) => setReason(event.target.value)} />
        </div>
        {(['findings', 'impression', 'recommendation'] as const).map((section) => (
          <div key={section} style={{ height: 130, display: 'flex', flexDirection: 'column' }}>
            <Field section={section} size="large" text={text[section]} readOnly={busy} phrases={phrases} onText={(words) => write({ [section]: words })} />
          </div>
        ))}
        {fault && <Alert type="error" showIcon title={fault} />}
      </div>
    </Modal>
  );
}
