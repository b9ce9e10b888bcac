// Every page by its path. An area brings its own routes; who may see them is said here once.
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from '@tanstack/react-router';

import { accountRoutes, ownRoutes } from '@/areas/account/routes';
import { adminRoutes } from '@/areas/admin/routes';
import { clinicRoutes } from '@/areas/clinic/routes';
import { readerRoutes } from '@/areas/reader/routes';
import { technicianRoutes } from '@/areas/technician/routes';
import { viewerRoutes } from '@/areas/viewer/routes';
import { loadTexts } from '@/i18n';

import { NotFound, PageFailed } from './errors';
import { homeOf, menuOf, spacesOf } from './menu';
import { currentMe, restore } from './session';

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound, errorComponent: PageFailed });

/** Pages for whoever is signed in stand below this one. */
export const signedIn = createRoute({
  getParentRoute: () => root,
  id: 'signed-in',
  loader: () => loadTexts(...spacesOf(menuOf(currentMe()))),
  component: lazyRouteComponent(() => import('./Shell'), 'Shell'),
  beforeLoad: async ({ location }) => {
    const me = await restore();
    if (!me) throw redirect({ to: '/sign-in', search: { back: location.href } });
    if (me.must_enrol) throw redirect({ to: '/enrol' });
  },
});

const home = createRoute({
  getParentRoute: () => root,
  path: '/',
  beforeLoad: async () => {
    const me = await restore();
    throw redirect({ to: !me ? '/sign-in' : me.must_enrol ? '/enrol' : homeOf(me) });
  },
});

const tree = root.addChildren([
  home,
  ...accountRoutes(root),
  ...viewerRoutes(root),
  signedIn.addChildren([
    ...technicianRoutes(signedIn),
    ...readerRoutes(signedIn),
    ...clinicRoutes(signedIn),
    ...adminRoutes(signedIn),
    ...ownRoutes(signedIn),
  ]),
]);

export const router = createRouter({ routeTree: tree, defaultPreload: 'intent', defaultPendingMs: 300 });

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
