// The pages of readers: the queue and the case.
import { createRoute, lazyRouteComponent, type AnyRoute } from '@tanstack/react-router';

export function readerRoutes(parent: AnyRoute): AnyRoute[] {
  const at = () => parent;
  return [
    createRoute({ getParentRoute: at, path: '/queue', component: lazyRouteComponent(() => import('./queue/QueuePage'), 'QueuePage') }),
    createRoute({ getParentRoute: at, path: '/case/$id', component: lazyRouteComponent(() => import('./case/CasePage'), 'CasePage') }),
  ];
}
