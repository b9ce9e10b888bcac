// Whether the page hears the relay: "reconnecting" while it does not, a word when it does again. Nothing that was typed is touched.
import { CheckCircleFilled, LoadingOutlined } from '@ant-design/icons';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useLink } from './live';
import { queries } from './queries';

/** A hiccup shorter than this is not worth a word, in milliseconds. */
const HICCUP = 1_500;
const BACK_FOR = 4_000;

export function LinkState() {
  const { t } = useTranslation('common');
  const link = useLink();
  const [shown, setShown] = useState<'nothing' | 'broken' | 'back'>('nothing');
  const told = useRef(false);

  useEffect(() => {
    if (link === 'broken') {
      const timer = setTimeout(() => {
        told.current = true;
        setShown('broken');
      }, HICCUP);
      return () => clearTimeout(timer);
    }
    if (link !== 'open' || !told.current) return;
    told.current = false;
    setShown('back');
    void queries.invalidateQueries();
    const timer = setTimeout(() => setShown('nothing'), BACK_FOR);
    return () => clearTimeout(timer);
  }, [link]);

  return (
    <div role="status" aria-live="polite">
      {shown === 'broken' && (
        <div className="link-state link-broken">
          <LoadingOutlined aria-hidden /> {t('common:shell.reconnecting')}
        </div>
      )}
      {shown === 'back' && (
        <div className="link-state link-back">
          <CheckCircleFilled aria-hidden /> {t('common:shell.reconnected')}
        </div>
      )}
    </div>
  );
}
