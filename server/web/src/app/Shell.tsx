// The frame around every page of somebody who is signed in: menu, what waits, link state, account.
import { Outlet, useLocation, useNavigate } from '@tanstack/react-router';
import { Grid } from 'antd';
import { Suspense, useEffect, useLayoutEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import { Problem } from '@/api/problem';
import { rememberWho } from '@/areas/account/entering';
import { StepUp } from '@/shared/StepUp';

import { AccountMenu } from './AccountMenu';
import { useTold } from './alerts';
import { Bell } from './Bell';
import { CriticalBanner } from './CriticalBanner';
import { useMayLeave } from './leaving';
import { LinkState } from './LinkState';
import { startLive, stopLive } from './live';
import { Logo } from './Logo';
import { menuOf, spacesOf } from './menu';
import { BottomBar, chosenOf, TopMenu } from './Navigation';
import { queries } from './queries';
import { useChosenRole } from './roles';
import { end, has, refresh, useMe } from './session';

import './shell.css';

/** When the relay says that a second factor must be set up, one is led there. */
function useMustEnrol(): void {
  useEffect(
    () =>
      queries.getQueryCache().subscribe((event) => {
        if (event.type !== 'updated' || event.action.type !== 'error') return;
        if (event.action.error instanceof Problem && event.action.error.code === 'SECOND_FACTOR_NEEDED') void refresh();
      }),
    [],
  );
}

export function Shell() {
  const me = useMe();
  const role = useChosenRole(me);
  const entries = menuOf(me, role);
  const { t, ready } = useTranslation(spacesOf(entries));
  const navigate = useNavigate();
  const path = useLocation({ select: (location) => location.pathname });
  const href = useLocation({ select: (location) => location.href });
  const wide = Grid.useBreakpoint().md ?? true;
  const leaving = useRef(false);
  const main = useRef<HTMLElement>(null);
  const mayLeave = useMayLeave();
  useTold(me);
  useMustEnrol();

  useEffect(() => {
    if (!me) {
      stopLive();
      // Whoever left by choice starts anew; whose session ran out comes back to where they were.
      void navigate({ to: '/sign-in', search: leaving.current ? {} : { back: href }, replace: true });
      return;
    }
    rememberWho(me.id);
    if (me.must_enrol) void navigate({ to: '/enrol', replace: true });
    else startLive();
  }, [me, navigate, href]);

  const text = entries.find((entry) => entry.to === chosenOf(entries, path))?.text;
  // Before what the page itself says: a page without a heading of its own is called as in the menu.
  useLayoutEffect(() => {
    document.title = text && ready ? `${t(text)} · medrelay` : 'medrelay';
  }, [text, ready, t, path]);

  if (!me) return null;
  async function signOut() {
    if (me && !(await mayLeave(me))) return;
    leaving.current = true;
    await end(true);
  }
  return (
    <div className="shell">
      <header className="shell-bar">
        <a
          className="skip-link"
          href="#main"
          onClick={(event) => {
            event.preventDefault();
            main.current?.focus();
          }}
        >
          {t('common:shell.skip')}
        </a>
        <Logo name={!wide || entries.length < 7} />
        {wide ? <TopMenu entries={entries} path={path} /> : <span style={{ flex: 1 }} />}
        <Bell me={me} />
        <AccountMenu me={me} named={wide} onSignOut={() => void signOut()} />
      </header>
      <div>
        <LinkState />
        {has(me, 'technician', 'clinic_doctor') && <CriticalBanner />}
      </div>
      <main id="main" ref={main} tabIndex={0} className="shell-main">
        <Suspense fallback={null}>
          <Outlet />
        </Suspense>
      </main>
      {!wide && <BottomBar entries={entries} path={path} />}
      <StepUp />
    </div>
  );
}
