// What belongs to the person: account, role to work as, language, light or dark, signing out.
import { CheckOutlined, LogoutOutlined, UserOutlined } from '@ant-design/icons';
import { useNavigate } from '@tanstack/react-router';
import { Button, Dropdown, type MenuProps } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { chooseLanguage, type Language } from '@/i18n';

import { homeOf } from './menu';
import { chooseRole, rolesOf, useChosenRole } from './roles';
import type { Me, Role } from './session';
import { chooseTheme, themeChoice, type Choice } from './theme';

const ALL = 'all';

export function AccountMenu({ me, named, onSignOut }: { me: Me; named: boolean; onSignOut: () => void }) {
  const { t, i18n } = useTranslation('common');
  const navigate = useNavigate();
  const role = useChosenRole(me);
  const [theme, setTheme] = useState<Choice>(themeChoice);
  const roles = rolesOf(me);

  function pick(key: string) {
    const [what, value = ''] = key.split(':');
    if (what === 'role') {
      chooseRole(value === ALL ? null : (value as Role));
      void navigate({ to: homeOf(me) });
    } else if (what === 'language') void chooseLanguage(value as Language);
    else if (what === 'theme') {
      chooseTheme(value as Choice);
      setTheme(value as Choice);
    } else if (what === 'account') void navigate({ to: '/account' });
    else if (what === 'out') onSignOut();
  }

  const choice = (key: string, label: string, chosen: boolean) => ({
    key,
    label: <span aria-current={chosen || undefined}>{label}</span>,
    icon: chosen ? <CheckOutlined aria-hidden /> : <span className="no-icon" aria-hidden />,
  });
  const language = i18n.language === 'en' ? 'en' : 'zh';
  const items: MenuProps['items'] = [
    { key: 'account', icon: <UserOutlined aria-hidden />, label: t('common:shell.account') },
    ...(roles.length > 1
      ? [{ type: 'group' as const, key: 'roles', label: t('common:shell.workAs'), children: [choice(`role:${ALL}`, t('common:shell.allRoles'), role === null), ...roles.map((name) => choice(`role:${name}`, t(`common:role.${name}`), role === name))] }]
      : []),
    { type: 'group', key: 'languages', label: t('common:shell.language'), children: [choice('language:zh', '中文', language === 'zh'), choice('language:en', 'English', language === 'en')] },
    { type: 'group', key: 'themes', label: t('common:shell.theme'), children: (['system', 'light', 'dark'] as const).map((name) => choice(`theme:${name}`, t(`common:shell.${name}`), theme === name)) },
    { type: 'divider' },
    { key: 'out', icon: <LogoutOutlined aria-hidden />, label: t('common:shell.signOut') },
  ];
  return (
    <Dropdown menu={{ items, onClick: ({ key }) => pick(key) }} trigger={['click']} placement="bottomRight">
      <Button type="text" icon={<UserOutlined aria-hidden />} aria-haspopup="menu" aria-label={t('common:shell.accountOf', { name: me.name })}>
        {named ? <span className="account-name">{role ? `${me.name} · ${t(`common:role.${role}`)}` : me.name}</span> : null}
      </Button>
    </Dropdown>
  );
}
