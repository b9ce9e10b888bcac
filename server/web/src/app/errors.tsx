// What is shown instead of a page that is not there or has failed.
import { useRouter } from '@tanstack/react-router';
import { Button, Result } from 'antd';
import { useCallback, useEffect } from 'react';
import { useTranslation } from 'react-i18next';

import { Problem } from '@/api/problem';

/** How long until a page that the network kept away is asked again, in milliseconds. */
const AGAIN = 3_000;

export function NotFound() {
  const { t } = useTranslation();
  return <Result status="404" title={t('common:error.notFound')} extra={<Button href="/">{t('common:error.home')}</Button>} />;
}

/** Whether the network, or a relay that is just starting, is what failed; not the page. */
function isCut(error: unknown): boolean {
  if (error instanceof Problem) return error.passing;
  return error instanceof TypeError && /fetch|import|network/i.test(error.message);
}

/** A page that failed: what happened, and a way on; by itself when the network is back. Nothing that was typed elsewhere is touched. */
export function PageFailed({ error, reset }: { error: unknown; reset: () => void }) {
  const { t } = useTranslation();
  const router = useRouter();
  const cut = isCut(error);
  const again = useCallback(() => {
    reset();
    void router.invalidate();
  }, [reset, router]);
  useEffect(() => {
    if (!cut) return;
    const timer = setInterval(again, AGAIN);
    return () => clearInterval(timer);
  }, [cut, again]);
  return (
    <Result
      status="warning"
      title={cut ? t('common:error.network') : t('common:error.page')}
      subTitle={cut ? <span role="status">{t('common:shell.reconnecting')}</span> : error instanceof Error ? error.message : String(error)}
      extra={[
        <Button key="again" type="primary" onClick={again}>
          {t('common:error.again')}
        </Button>,
        <Button key="home" href="/">
          {t('common:error.home')}
        </Button>,
      ]}
    />
  );
}
