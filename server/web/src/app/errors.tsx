// What is shown instead of a page that is not there or has failed.
import { Button, Result } from 'antd';
import { useTranslation } from 'react-i18next';

import { asProblem } from '@/api/problem';

export function NotFound() {
  const { t } = useTranslation();
  return <Result status="404" title={t('common:error.notFound')} extra={<Button href="/">{t('common:error.home')}</Button>} />;
}

/** A page that failed: what happened, and a way on. Nothing that was typed elsewhere is touched. */
export function PageFailed({ error, reset }: { error: unknown; reset: () => void }) {
  const { t } = useTranslation();
  const problem = asProblem(error);
  const title = problem.status === 0 ? t('common:error.network') : t('common:error.page');
  return (
    <Result
      status="warning"
      title={title}
      subTitle={problem.message}
      extra={[
        <Button key="again" type="primary" onClick={reset}>
          {t('common:error.again')}
        </Button>,
        <Button key="home" href="/">
          {t('common:error.home')}
        </Button>,
      ]}
    />
  );
}
