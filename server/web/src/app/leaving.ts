// Before somebody signs out: whether studies are still to be sent, which signing out wipes from this computer.
import { App } from 'antd';
import { useTranslation } from 'react-i18next';

import { has, type Me } from './session';

/** How many studies of somebody are not at the relay yet. */
async function unsent(me: Me): Promise<number> {
  if (!has(me, 'technician')) return 0;
  return import('@/upload').then(({ left }) => left()).catch(() => 0);
}

/** Gives what asks before signing out, where something would be lost by it; true when they may go. */
export function useMayLeave(): (me: Me) => Promise<boolean> {
  const { t } = useTranslation('common');
  const { modal } = App.useApp();
  return async (me) => {
    const count = await unsent(me);
    if (count === 0) return true;
    return modal.confirm({
      title: t('common:shell.unsent.title', { count }),
      content: t('common:shell.unsent.explain'),
      okText: t('common:shell.unsent.go'),
      okButtonProps: { danger: true },
      cancelText: t('common:shell.unsent.stay'),
      focusable: { autoFocusButton: 'cancel' },
    });
  };
}
