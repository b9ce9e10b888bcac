// Signing in, set-up, invitations, and what must be set up before anything else.
import { createRoute, lazyRouteComponent, redirect, type AnyRoute } from '@tanstack/react-router';

import { restore } from '@/app/session';
import { loadTexts } from '@/i18n';

const loader = () => loadTexts('account');

/** Pages for which somebody must be signed in, outside of the frame with the menu. */
async function needsSession() {
  if (!(await restore())) throw redirect({ to: '/sign-in' });
}

export function accountRoutes(parent: AnyRoute): AnyRoute[] {
  const at = () => parent;
  return [
    createRoute({
      getParentRoute: at,
      path: '/sign-in',
      validateSearch: (search: Record<string, unknown>): { back?: string } => ({
        // Only a place of our own: no other host can be named.
        back: typeof search['back'] === 'string' && /^\/(?![/\\])/.test(search['back']) ? search['back'] : undefined,
      }),
      loader,
      component: lazyRouteComponent(() => import('./SignIn'), 'SignIn'),
    }),
    createRoute({ getParentRoute: at, path: '/setup', loader, component: lazyRouteComponent(() => import('./SetUp'), 'SetUp') }),
    createRoute({ getParentRoute: at, path: '/invite', loader, component: lazyRouteComponent(() => import('./Invite'), 'Invite') }),
    createRoute({
      getParentRoute: at,
      path: '/enrol',
      validateSearch: (search: Record<string, unknown>): { first?: boolean } => (search['first'] ? { first: true } : {}),
      beforeLoad: needsSession,
      loader,
      component: lazyRouteComponent(() => import('./Enrol'), 'Enrol'),
    }),
    createRoute({ getParentRoute: at, path: '/welcome', beforeLoad: needsSession, loader, component: lazyRouteComponent(() => import('./Welcome'), 'Welcome') }),
  ];
}

/** One's own account, inside of the frame with the menu. */
export function ownRoutes(parent: AnyRoute): AnyRoute[] {
  const at = () => parent;
  return [
    createRoute({ getParentRoute: at, path: '/account', loader, component: lazyRouteComponent(() => import('./Account'), 'Account') }),
    createRoute({ getParentRoute: at, path: '/display', loader, component: lazyRouteComponent(() => import('./Display'), 'Display') }),
  ];
}
