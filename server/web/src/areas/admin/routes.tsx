// The pages of this area: the coordinator's desk, the consortium, the system.
import { createRoute, lazyRouteComponent, type AnyRoute } from '@tanstack/react-router';

import './admin.css';

export function adminRoutes(parent: AnyRoute): AnyRoute[] {
  const getParentRoute = () => parent;
  return [
    createRoute({ getParentRoute, path: '/chase', component: lazyRouteComponent(() => import('./desk/Chase'), 'Chase') }),
    createRoute({ getParentRoute, path: '/assign', component: lazyRouteComponent(() => import('./desk/Assign'), 'Assign') }),
    createRoute({ getParentRoute, path: '/unmatched', component: lazyRouteComponent(() => import('./desk/Unmatched'), 'Unmatched') }),
    createRoute({ getParentRoute, path: '/unmatched/$study', component: lazyRouteComponent(() => import('./desk/UnmatchedStudy'), 'UnmatchedStudy') }),
    createRoute({ getParentRoute, path: '/quarantine', component: lazyRouteComponent(() => import('./desk/Quarantine'), 'Quarantine') }),
    createRoute({ getParentRoute, path: '/statistics', component: lazyRouteComponent(() => import('./desk/Statistics'), 'Statistics') }),
    createRoute({ getParentRoute, path: '/admin', component: lazyRouteComponent(() => import('./system/Home'), 'Home') }),
    createRoute({ getParentRoute, path: '/organizations', component: lazyRouteComponent(() => import('./consortium/Organizations'), 'Organizations') }),
    createRoute({ getParentRoute, path: '/agreements', component: lazyRouteComponent(() => import('./consortium/Agreements'), 'Agreements') }),
    createRoute({ getParentRoute, path: '/people', component: lazyRouteComponent(() => import('./consortium/People'), 'People') }),
    createRoute({ getParentRoute, path: '/clinics', component: lazyRouteComponent(() => import('./consortium/Clinics'), 'Clinics') }),
    createRoute({ getParentRoute, path: '/gateways', component: lazyRouteComponent(() => import('./consortium/Gateways'), 'Gateways') }),
    createRoute({ getParentRoute, path: '/devices', component: lazyRouteComponent(() => import('./consortium/Devices'), 'Devices') }),
    createRoute({ getParentRoute, path: '/templates', component: lazyRouteComponent(() => import('./system/Templates'), 'Templates') }),
    createRoute({ getParentRoute, path: '/calendar', component: lazyRouteComponent(() => import('./system/Calendar'), 'Calendar') }),
    createRoute({ getParentRoute, path: '/health', component: lazyRouteComponent(() => import('./system/Health'), 'Health') }),
    createRoute({ getParentRoute, path: '/audit', component: lazyRouteComponent(() => import('./system/Audit'), 'Audit') }),
  ];
}
