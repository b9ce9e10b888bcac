// A button that copies a text, and says that it has.
import { CheckOutlined, CopyOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

/** Copies; where the browser refuses (no secure context), by the old way of a selected field. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement('textarea');
    field.value = text;
    field.style.position = 'fixed';
    field.style.opacity = '0';
    document.body.append(field);
    field.select();
    const done = document.execCommand('copy');
    field.remove();
    return done;
  }
}

export function Copy({ text, label, size }: { text: string; label?: string; size?: 'small' | 'middle' | 'large' }) {
  const { t } = useTranslation();
  const [state, setState] = useState<'ready' | 'done' | 'failed'>('ready');
  useEffect(() => {
    if (state === 'ready') return;
    const timer = setTimeout(() => setState('ready'), 2_500);
    return () => clearTimeout(timer);
  }, [state]);
  const word = { ready: label ?? t('common:copy.copy'), done: t('common:copy.done'), failed: t('common:copy.failed') }[state];
  return (
    <Button size={size} icon={state === 'done' ? <CheckOutlined /> : <CopyOutlined />} onClick={() => void copy(text).then((done) => setState(done ? 'done' : 'failed'))}>
      <span aria-live="polite">{word}</span>
    </Button>
  );
}
