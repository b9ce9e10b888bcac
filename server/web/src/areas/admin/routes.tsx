// The pages of this area: the coordinator's desk, the consortium, the system.
import { createRoute, lazyRouteComponent, type AnyRoute } from '@tanstack/react-router';

import { loadTexts } from '@/i18n';

import './admin.css';

export function adminRoutes(parent: AnyRoute): AnyRoute[] {
  const getParentRoute = () => parent;
  const loader = () => loadTexts('admin');
  return [
    createRoute({ getParentRoute, path: '/chase', loader, component: lazyRouteComponent(() => import('./desk/Chase'), 'Chase') }),
    createRoute({ getParentRoute, path: '/assign', loader, component: lazyRouteComponent(() => import('./desk/Assign'), 'Assign') }),
    createRoute({ getParentRoute, path: '/unmatched', loader, component: lazyRouteComponent(() => import('./desk/Unmatched'), 'Unmatched') }),
    createRoute({ getParentRoute, path: '/unmatched/$study', loader, component: lazyRouteComponent(() => import('./desk/UnmatchedStudy'), 'UnmatchedStudy') }),
    createRoute({ getParentRoute, path: '/quarantine', loader, component: lazyRouteComponent(() => import('./desk/Quarantine'), 'Quarantine') }),
    createRoute({ getParentRoute, path: '/statistics', loader, component: lazyRouteComponent(() => import('./desk/Statistics'), 'Statistics') }),
    createRoute({ getParentRoute, path: '/admin', loader, component: lazyRouteComponent(() => import('./system/Home'), 'Home') }),
    createRoute({ getParentRoute, path: '/organizations', loader, component: lazyRouteComponent(() => import('./consortium/Organizations'), 'Organizations') }),
    createRoute({ getParentRoute, path: '/agreements', loader, component: lazyRouteComponent(() => import('./consortium/Agreements'), 'Agreements') }),
    createRoute({ getParentRoute, path: '/people', loader, component: lazyRouteComponent(() => import('./consortium/People'), 'People') }),
    createRoute({ getParentRoute, path: '/clinics', loader, component: lazyRouteComponent(() => import('./consortium/Clinics'), 'Clinics') }),
    createRoute({ getParentRoute, path: '/gateways', loader, component: lazyRouteComponent(() => import('./consortium/Gateways'), 'Gateways') }),
    createRoute({ getParentRoute, path: '/devices', loader, component: lazyRouteComponent(() => import('./consortium/Devices'), 'Devices') }),
    createRoute({ getParentRoute, path: '/templates', loader, component: lazyRouteComponent(() => import('./system/Templates'), 'Templates') }),
    createRoute({ getParentRoute, path: '/calendar', loader, component: lazyRouteComponent(() => import('./system/Calendar'), 'Calendar') }),
    createRoute({ getParentRoute, path: '/health', loader, component: lazyRouteComponent(() => import('./system/Health'), 'Health') }),
    createRoute({ getParentRoute, path: '/audit', loader, component: lazyRouteComponent(() => import('./system/Audit'), 'Audit') }),
  ];
}
