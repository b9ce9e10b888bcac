// The pages of readers: the queue and the case.
import { createRoute, lazyRouteComponent, type AnyRoute } from '@tanstack/react-router';

import { loadTexts } from '@/i18n';

import { beginCase } from './case/useCase';

export function readerRoutes(parent: AnyRoute): AnyRoute[] {
  const at = () => parent;
  return [
    createRoute({ getParentRoute: at, path: '/queue', loader: () => loadTexts('reader'), component: lazyRouteComponent(() => import('./queue/QueuePage'), 'QueuePage') }),
    createRoute({
      getParentRoute: at,
      path: '/case/$id',
      // Everything that the first image needs is asked for at once; each is used when its turn comes.
      loader: ({ params }) => {
        beginCase(params.id);
        return loadTexts('reader', 'viewer');
      },
      component: lazyRouteComponent(() => import('./case/CasePage'), 'CasePage'),
    }),
  ];
}
