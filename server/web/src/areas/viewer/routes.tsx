// The pages of this area: the viewer in a window of its own, without the menu around it.
import { createRoute, lazyRouteComponent, redirect, type AnyRoute } from '@tanstack/react-router';

import { startLive } from '@/app/live';
import { restore } from '@/app/session';
import { loadTexts } from '@/i18n';

export function viewerRoutes(parent: AnyRoute): AnyRoute[] {
  return [
    createRoute({
      getParentRoute: () => parent,
      path: '/viewer/$case',
      beforeLoad: async ({ location }) => {
        if (!(await restore())) throw redirect({ to: '/sign-in', search: { back: location.pathname } });
        startLive();
      },
      loader: () => loadTexts('viewer'),
      component: lazyRouteComponent(() => import('./window/SecondWindow'), 'SecondWindow'),
    }),
  ];
}
