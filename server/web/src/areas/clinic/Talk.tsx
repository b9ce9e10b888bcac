// What the clinic and the centre say to each other about a case. What is typed stays until it was sent.
import { SendOutlined } from '@ant-design/icons';
import { useQueryClient } from '@tanstack/react-query';
import { Button, Empty, Flex, Input, Skeleton, Tag } from 'antd';
import i18next from 'i18next';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { newKey, request } from '@/api/request';
import { useMe } from '@/app/session';
import { shortMoment } from '@/shared/time';
import { Trouble } from '@/shared/Trouble';
import { findingWord, returnWord } from '@/shared/words';

import { useMessages, type Message } from './data';

export function Talk({ id }: { id: string }) {
  const { t } = useTranslation('clinic');
  const messages = useMessages(id);
  return (
    <Flex vertical gap="small">
      {messages.error && <Trouble error={messages.error} retry={() => void messages.refetch()} />}
      {messages.isLoading && <Skeleton active />}
      {messages.data?.length === 0 && <Empty description={t('clinic:talk.empty')} />}
      <ol className="clinic-talk" aria-live="polite">
        {messages.data?.map((message) => (
          <Said key={message.id} message={message} />
        ))}
      </ol>
      <Say id={id} />
    </Flex>
  );
}

/** A notice of a critical finding begins with its code, for gateways; people read what the code means. */
function words(message: Message): string {
  if (message.kind !== 'notice') return message.text;
  return message.text.replace(/^危急值 \/ critical finding: ([A-Z_]+) ?/, (_, code: string) => `${i18next.t('clinic:talk.critical', { finding: findingWord(code) })}\n`);
}

function Said({ message }: { message: Message }) {
  const mine = useMe()?.id === message.written_by;
  return (
    <li className={mine ? 'clinic-said clinic-said-mine' : 'clinic-said'}>
      <div className="quiet">
        {message.written_by_name} · {message.organization_name} · {shortMoment(message.written_at)}
      </div>
      {message.code && <Tag color="orange">{returnWord(message.code)}</Tag>}
      {message.text !== '' && <span style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>{words(message)}</span>}
    </li>
  );
}

function Say({ id }: { id: string }) {
  const { t } = useTranslation('clinic');
  const cache = useQueryClient();
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<unknown>(null);
  const [key, setKey] = useState(newKey);

  async function send() {
    const said = text.trim();
    if (said === '') return;
    setBusy(true);
    setFault(null);
    try {
      await request('POST', `/api/v1/cases/${id}/messages`, { kind: 'discussion', text: said }, { key });
      setText('');
      setKey(newKey());
      await cache.invalidateQueries({ queryKey: ['clinic', 'messages', id] });
    } catch (error) {
      setFault(error);
    } finally {
      setBusy(false);
    }
  }

  return (
    <>
      <Input.TextArea
        aria-label={t('clinic:talk.label')}
        placeholder={t('clinic:talk.label')}
        value={text}
        rows={3}
        maxLength={2000}
        onChange={(change) => setText(change.target.value)}
      />
      {fault !== null && <Trouble error={fault} />}
      <Button type="primary" icon={<SendOutlined />} loading={busy} disabled={text.trim() === ''} onClick={() => void send()}>
        {t('clinic:talk.send')}
      </Button>
    </>
  );
}
