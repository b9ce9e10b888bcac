// The check of the display as a page of its own.
import { useTranslation } from 'react-i18next';

import { PageTitle } from '@/app/PageTitle';

import { DisplayCheck } from './DisplayCheck';

export function Display() {
  const { t } = useTranslation(['account', 'common']);
  return (
    <div className="page page-narrow">
      <PageTitle title={t('account:display.title')} />
      <DisplayCheck />
    </div>
  );
}
