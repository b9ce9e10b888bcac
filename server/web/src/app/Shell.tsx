// The frame around every page of somebody who is signed in: menu, link state, account.
import { LogoutOutlined, MenuOutlined, UserOutlined } from '@ant-design/icons';
import { Link, Outlet, useLocation, useNavigate } from '@tanstack/react-router';
import { Alert, Button, Drawer, Dropdown, Grid, Layout, Menu } from 'antd';
import { Suspense, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { chooseLanguage } from '@/i18n';

import { startLive, stopLive, useLink } from './live';
import { menuOf } from './menu';
import { end, useMe } from './session';

export function Shell() {
  const { t, i18n } = useTranslation();
  const me = useMe();
  const link = useLink();
  const navigate = useNavigate();
  const path = useLocation({ select: (location) => location.pathname });
  const wide = Grid.useBreakpoint().md ?? true;
  const [open, setOpen] = useState(false);

  useEffect(() => {
    if (!me) {
      stopLive();
      void navigate({ to: '/sign-in', search: { back: path } });
      return;
    }
    startLive();
  }, [me, navigate, path]);

  const entries = menuOf(me);
  const chosen = entries.filter((entry) => path.startsWith(entry.to)).sort((a, b) => b.to.length - a.to.length)[0]?.to;
  const items = entries.map((entry) => ({
    key: entry.to,
    icon: entry.icon,
    label: (
      <Link to={entry.to} onClick={() => setOpen(false)}>
        {t(entry.text)}
      </Link>
    ),
  }));
  const menu = <Menu mode={wide ? 'horizontal' : 'inline'} selectedKeys={chosen ? [chosen] : []} items={items} style={{ flex: 1, minWidth: 0, borderBottom: 0 }} />;
  const account = {
    items: [
      { key: 'account', icon: <UserOutlined />, label: <Link to="/account">{t('common:shell.account')}</Link> },
      { key: 'language', label: i18n.language === 'en' ? '中文' : 'English', onClick: () => void chooseLanguage(i18n.language === 'en' ? 'zh' : 'en') },
      { key: 'out', icon: <LogoutOutlined />, label: t('common:shell.signOut'), onClick: () => void end(true) },
    ],
  };
  return (
    <Layout style={{ minHeight: '100%' }}>
      <Layout.Header style={{ display: 'flex', alignItems: 'center', gap: 12, padding: '0 12px', background: 'transparent' }}>
        {!wide && <Button type="text" aria-label={t('common:shell.menu')} icon={<MenuOutlined />} onClick={() => setOpen(true)} />}
        <strong>medrelay</strong>
        {wide ? menu : <span style={{ flex: 1 }} />}
        <Dropdown menu={account} trigger={['click']}>
          <Button type="text" icon={<UserOutlined />}>
            {me?.name}
          </Button>
        </Dropdown>
      </Layout.Header>
      <Drawer placement="left" open={open && !wide} onClose={() => setOpen(false)} title="medrelay" styles={{ body: { padding: 0 } }}>
        {menu}
      </Drawer>
      {link === 'broken' && <Alert banner type="warning" title={t('common:shell.reconnecting')} />}
      <Layout.Content>
        <Suspense fallback={null}>
          <Outlet />
        </Suspense>
      </Layout.Content>
    </Layout>
  );
}
