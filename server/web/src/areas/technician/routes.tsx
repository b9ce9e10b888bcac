// The pages of this area.
import type { AnyRoute } from '@tanstack/react-router';

export function technicianRoutes(_parent: AnyRoute): AnyRoute[] {
  return [];
}
