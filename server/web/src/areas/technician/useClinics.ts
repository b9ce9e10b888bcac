// The names of the clinics that somebody sends for.
import { useQuery } from '@tanstack/react-query';

import { request } from '@/api/request';

export function useClinics(places: string[]): Map<string, string> {
  const wanted = places.join(' ');
  const names = useQuery({
    queryKey: ['clinics', wanted],
    staleTime: 600_000,
    enabled: places.length > 1,
    queryFn: () => Promise.all(places.map((id) => request<{ id: string; name: string }>('GET', `/api/v1/organizations/${encodeURIComponent(id)}`))),
  });
  return new Map((names.data ?? []).map((clinic) => [clinic.id, clinic.name]));
}
