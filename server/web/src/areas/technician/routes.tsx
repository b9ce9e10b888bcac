// The pages of this area.
import { createRoute, lazyRouteComponent, type AnyRoute } from '@tanstack/react-router';

import { loadTexts } from '@/i18n';

export function technicianRoutes(parent: AnyRoute): AnyRoute[] {
  const loader = () => loadTexts('technician');
  return [createRoute({ getParentRoute: () => parent, path: '/upload', loader, component: lazyRouteComponent(() => import('./UploadPage'), 'UploadPage') })];
}
