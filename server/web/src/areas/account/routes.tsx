// Signing in, set-up, invitations, and one's own account.
import { createRoute, lazyRouteComponent, type AnyRoute } from '@tanstack/react-router';

export function accountRoutes(parent: AnyRoute): AnyRoute[] {
  const at = () => parent;
  return [
    createRoute({
      getParentRoute: at,
      path: '/sign-in',
      validateSearch: (search: Record<string, unknown>): { back?: string } => ({
        // Only a place of our own: no other host can be named.
        back: typeof search['back'] === 'string' && /^\/(?!\/)/.test(search['back']) ? search['back'] : undefined,
      }),
      component: lazyRouteComponent(() => import('./SignIn'), 'SignIn'),
    }),
  ];
}
