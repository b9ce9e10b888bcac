// The menu: a line on top of wide screens, a bar at the bottom of narrow ones with the rest in a drawer.
import { MenuOutlined } from '@ant-design/icons';
import { Link } from '@tanstack/react-router';
import { Drawer, Menu, type MenuProps } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { spacesOf, type Entry } from './menu';

/** Places in the bar at the bottom, the one for the rest not counted. */
const PLACES = 4;

/** The entry that a path belongs to. */
export function chosenOf(entries: Entry[], path: string): string | undefined {
  const within = (place: string) => path === place || path.startsWith(`${place}/`);
  const under = entries.filter((entry) => within(entry.to) || (entry.behind !== undefined && within(entry.behind)));
  return under.sort((a, b) => b.to.length - a.to.length)[0]?.to;
}

function useLines(entries: Entry[], follow?: () => void): NonNullable<MenuProps['items']> {
  const { t } = useTranslation(spacesOf(entries));
  const line = (entry: Entry) => ({
    key: entry.to,
    icon: entry.icon,
    label: (
      <Link to={entry.to} onClick={follow}>
        {t(entry.text)}
      </Link>
    ),
  });
  const groups = new Set<string>();
  return entries.flatMap((entry): NonNullable<MenuProps['items']> => {
    if (!entry.group) return [line(entry)];
    if (groups.has(entry.group)) return [];
    groups.add(entry.group);
    const inside = entries.filter((other) => other.group === entry.group);
    if (inside.length === 1) return [line(entry)];
    return [{ key: entry.group, icon: entry.icon, label: t(entry.group), children: inside.map(line) }];
  });
}

export function TopMenu({ entries, path }: { entries: Entry[]; path: string }) {
  const { t } = useTranslation('common');
  const items = useLines(entries);
  const chosen = chosenOf(entries, path);
  return (
    <nav aria-label={t('common:shell.menu')} style={{ flex: 1, minWidth: 0 }}>
      <Menu mode="horizontal" selectedKeys={chosen ? [chosen] : []} items={items} style={{ borderBottom: 0, background: 'transparent', lineHeight: '46px' }} />
    </nav>
  );
}

export function BottomBar({ entries, path }: { entries: Entry[]; path: string }) {
  const { t } = useTranslation(spacesOf(entries));
  const [open, setOpen] = useState(false);
  const items = useLines(entries, () => setOpen(false));
  const chosen = chosenOf(entries, path);
  const all = entries.length <= PLACES + 1;
  const shown = all ? entries : entries.slice(0, PLACES);
  return (
    <nav className="bottom-bar" aria-label={t('common:shell.menu')}>
      {shown.map((entry) => (
        <Link key={entry.to} to={entry.to} aria-current={entry.to === chosen ? 'page' : undefined}>
          <span aria-hidden>{entry.icon}</span>
          <span>{t(entry.text)}</span>
        </Link>
      ))}
      {!all && (
        <button type="button" aria-expanded={open} aria-haspopup="dialog" onClick={() => setOpen(true)}>
          <MenuOutlined aria-hidden />
          <span>{t('common:shell.more')}</span>
        </button>
      )}
      <Drawer placement="bottom" size="70%" open={open} onClose={() => setOpen(false)} title={t('common:shell.menu')} styles={{ body: { padding: 0 } }}>
        <Menu mode="inline" selectedKeys={chosen ? [chosen] : []} items={items} defaultOpenKeys={items.map((item) => String(item?.key))} style={{ borderInlineEnd: 0 }} />
      </Drawer>
    </nav>
  );
}
