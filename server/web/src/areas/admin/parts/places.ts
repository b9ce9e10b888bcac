// The organizations that one may see: for names, choices and the tree.
import { useQuery } from '@tanstack/react-query';

import type { Schemas } from '@/api/client';
import { currentMe, has, placesOf } from '@/app/session';

import { everything } from './paged';

export type Place = Schemas['OrganizationBody'];
export const KINDS = ['lead_hospital', 'county_hospital', 'township_clinic', 'village_clinic'] as const;

/** All of them, a few minutes fresh. */
export function usePlaces(): { places: Place[]; nameOf: (id: string) => string; loading: boolean; error: Error | null; again: () => void } {
  const answer = useQuery({ queryKey: ['organizations', 'all'], queryFn: () => everything<Place>('/api/v1/organizations'), staleTime: 60_000 });
  const places = answer.data ?? [];
  return {
    places,
    nameOf: (id) => places.find((place) => place.id === id)?.name ?? '…',
    loading: answer.isPending,
    error: answer.error,
    again: () => void answer.refetch(),
  };
}

/** The centres that somebody coordinates or reads for. */
export function centresOf(places: Place[]): Place[] {
  const own = placesOf(currentMe(), 'coordinator', 'reporter', 'verifier');
  return places.filter((place) => own.includes(place.id));
}

/** Whether the person administers (others only look). */
export function administers(): boolean {
  return has(currentMe(), 'administrator');
}

/** Choices for a select, open places only. */
export function choicesOf(places: Place[]): { value: string; label: string }[] {
  return places.filter((place) => !place.closed_at).map((place) => ({ value: place.id, label: place.name }));
}
