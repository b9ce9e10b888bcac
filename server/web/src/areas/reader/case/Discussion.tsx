// What is said about a case: by the centre, and by the clinic.
import { SendOutlined } from '@ant-design/icons';
import { Button, Input } from 'antd';
import { useRef, useState, type KeyboardEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { newKey } from '@/api/request';
import { useMe } from '@/app/session';
import { shortMoment } from '@/shared/time';
import { Nothing, plainWords, Trouble } from '@/shared/Trouble';
import { returnWord } from '@/shared/words';

import { writeMessage, type Message } from '../api';
import { refreshCase, useMessages } from './useCase';

function Said({ message, own }: { message: Message; own: boolean }) {
  const { t } = useTranslation('reader');
  return (
    <li className={own ? 'case-said-own' : ''}>
      <div className="quiet">
        {message.written_by_name}
        {message.organization_name ? ` · ${message.organization_name}` : ''} · {shortMoment(message.written_at)} · {t(`reader:said.${message.kind}`)}
      </div>
      {message.code && <strong>{returnWord(message.code)} </strong>}
      <span style={{ whiteSpace: 'pre-wrap' }}>{message.text}</span>
    </li>
  );
}

export function Discussion({ id }: { id: string }) {
  const { t } = useTranslation('reader');
  const me = useMe();
  const { data, error, refetch } = useMessages(id);
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  // The same words are sent under the same key until they have arrived: a cut line doubles nothing.
  const sending = useRef<{ text: string; key: string } | null>(null);

  async function send() {
    const words = text.trim();
    if (words === '' || busy) return;
    if (sending.current?.text !== words) sending.current = { text: words, key: newKey() };
    setBusy(true);
    setFault(null);
    try {
      await writeMessage(id, { kind: 'discussion', text: words }, sending.current.key);
      sending.current = null;
      setText('');
      refreshCase(id);
    } catch (refusal) {
      setFault(plainWords(refusal));
    } finally {
      setBusy(false);
    }
  }

  function pressed(event: KeyboardEvent) {
    if (event.key !== 'Enter' || !event.ctrlKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    // Not the signing of the report, which has the same keys elsewhere.
    event.stopPropagation();
    void send();
  }

  if (error) return <Trouble error={error} retry={() => void refetch()} />;
  return (
    <div className="report">
      <div style={{ flex: 1, minHeight: 0, overflow: 'auto' }}>
        {data && data.length === 0 && <Nothing text={t('reader:said.none')} />}
        <ul className="case-list" aria-live="polite" aria-label={t('reader:pane.discussion')}>
          {(data ?? []).map((message) => (
            <Said key={message.id} message={message} own={message.written_by === me?.id} />
          ))}
        </ul>
      </div>
      {fault && <div role="alert">{fault}</div>}
      <Input.TextArea
        value={text}
        maxLength={2000}
        autoSize={{ minRows: 2, maxRows: 6 }}
        aria-label={t('reader:said.write')}
        placeholder={t('reader:said.write')}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={pressed}
      />
      <Button type="primary" icon={<SendOutlined aria-hidden />} disabled={text.trim() === ''} loading={busy} onClick={() => void send()}>
        {t('reader:said.send')}
      </Button>
    </div>
  );
}
