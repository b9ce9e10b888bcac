// The pages of this area: what has become of the clinic's own studies, and the reports that came back.
import { createRoute, lazyRouteComponent, type AnyRoute } from '@tanstack/react-router';

import { loadTexts } from '@/i18n';

export function clinicRoutes(parent: AnyRoute): AnyRoute[] {
  const getParentRoute = () => parent;
  const loader = () => loadTexts('clinic');
  return [
    createRoute({ getParentRoute, path: '/cases', loader, component: lazyRouteComponent(() => import('./CasesPage'), 'CasesPage') }),
    createRoute({ getParentRoute, path: '/reports', loader, component: lazyRouteComponent(() => import('./ReportsPage'), 'ReportsPage') }),
    createRoute({ getParentRoute, path: '/reports/$case', loader, component: lazyRouteComponent(() => import('./CasePage'), 'CasePage') }),
  ];
}
