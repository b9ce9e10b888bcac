// The pages of this area: what has become of the clinic's own studies, and the reports that came back.
import { createRoute, lazyRouteComponent, type AnyRoute } from '@tanstack/react-router';

export function clinicRoutes(parent: AnyRoute): AnyRoute[] {
  const getParentRoute = () => parent;
  return [
    createRoute({ getParentRoute, path: '/cases', component: lazyRouteComponent(() => import('./CasesPage'), 'CasesPage') }),
    createRoute({ getParentRoute, path: '/reports', component: lazyRouteComponent(() => import('./ReportsPage'), 'ReportsPage') }),
    createRoute({ getParentRoute, path: '/reports/$case', component: lazyRouteComponent(() => import('./CasePage'), 'CasePage') }),
  ];
}
