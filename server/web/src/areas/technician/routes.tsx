// The pages of this area.
import { createRoute, lazyRouteComponent, type AnyRoute } from '@tanstack/react-router';

export function technicianRoutes(parent: AnyRoute): AnyRoute[] {
  return [createRoute({ getParentRoute: () => parent, path: '/upload', component: lazyRouteComponent(() => import('./UploadPage'), 'UploadPage') })];
}
