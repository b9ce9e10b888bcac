// A returned case goes back to the centre: what was done about it, or what was missing, in a few words.
import { useQueryClient } from '@tanstack/react-query';
import { Form, Input, Modal } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { newKey, request } from '@/api/request';
import { Trouble } from '@/shared/Trouble';

interface Props {
  id: string;
  /** It came back because too little was written: that is written here, and read beside the images. */
  history: boolean;
  done: () => void;
}

export function Resubmit({ id, history, done }: Props) {
  const { t } = useTranslation('clinic');
  const cache = useQueryClient();
  const [form] = Form.useForm<{ text: string }>();
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<unknown>(null);
  const [key] = useState(newKey);

  async function send(typed: { text: string }) {
    setBusy(true);
    setFault(null);
    try {
      await request('POST', `/api/v1/cases/${id}/resubmit`, { text: typed.text.trim() }, { key });
      await cache.invalidateQueries({ queryKey: ['clinic'] });
      done();
    } catch (error) {
      setFault(error);
    } finally {
      setBusy(false);
    }
  }

  return (
    <Modal open title={t('clinic:returned.resubmit')} okText={t('clinic:returned.send')} okButtonProps={{ loading: busy }} onOk={() => form.submit()} onCancel={done} mask={{ closable: false }}>
      <p>{t(history ? 'clinic:returned.helpHistory' : 'clinic:returned.help')}</p>
      <Form form={form} layout="vertical" initialValues={{ text: '' }} onFinish={(typed) => void send(typed)}>
        <Form.Item
          name="text"
          label={t(history ? 'clinic:returned.history' : 'clinic:returned.done')}
          rules={history ? [{ required: true, whitespace: true, message: t('clinic:returned.historyRule') }] : []}
        >
          <Input.TextArea rows={history ? 5 : 3} maxLength={2000} autoFocus />
        </Form.Item>
      </Form>
      {fault !== null && <Trouble error={fault} />}
    </Modal>
  );
}
