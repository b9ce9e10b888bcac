// The pages of this area.
import type { AnyRoute } from '@tanstack/react-router';

export function clinicRoutes(_parent: AnyRoute): AnyRoute[] {
  return [];
}
