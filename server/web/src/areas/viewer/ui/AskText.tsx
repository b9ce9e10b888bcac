// Asks for the text of an arrow or a label in a window of its own; an input method composes as anywhere else.
import { Input, Modal } from 'antd';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { setTextAsker } from '../engine/tools';

interface Question {
  before: string;
  done(text: string | null): void;
}

export function AskText() {
  const { t } = useTranslation('viewer');
  const [question, setQuestion] = useState<Question | null>(null);
  const [text, setText] = useState('');
  useEffect(() => {
    setTextAsker(
      (before) =>
        new Promise((done) => {
          setText(before);
          setQuestion({ before, done });
        }),
    );
    return () => setTextAsker(async () => null);
  }, []);
  const answer = (given: string | null) => {
    question?.done(given);
    setQuestion(null);
  };
  return (
    <Modal open={question !== null} title={t('viewer:text.title')} okText={t('viewer:text.ok')} cancelText={t('viewer:text.cancel')} onOk={() => answer(text.trim() || null)} onCancel={() => answer(null)} destroyOnHidden>
      <Input
        autoFocus
        maxLength={200}
        value={text}
        aria-label={t('viewer:text.title')}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && !event.nativeEvent.isComposing && event.keyCode !== 229) answer(text.trim() || null);
        }}
      />
    </Modal>
  );
}
