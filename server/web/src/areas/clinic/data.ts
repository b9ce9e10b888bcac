// What the clinic's pages ask of the relay, and when it is asked again.
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback } from 'react';

import { api, ok, type Schemas } from '@/api/client';
import { request } from '@/api/request';
import { useHappened } from '@/app/live';

export type CaseLine = Schemas['CaseLine'];
export type CaseDetail = Schemas['CaseDetail'];
export type InboxItem = Schemas['InboxItem'];
export type Finding = Schemas['FindingBody'];
export type Message = Schemas['MessageBody'];
export type Study = Schemas['StudyOutput'];

interface Page<T> {
  items: T[];
  next?: string | null;
}

/** Events after which what the clinic sees of its cases has changed. */
const CASE_EVENTS = [
  'case_opened',
  'case_queued',
  'case_claimed',
  'case_released',
  'claim_expired',
  'case_taken_over',
  'case_returned',
  'case_resubmitted',
  'preliminary_signed',
  'final_signed',
  'addendum_signed',
  'case_delivered',
  'case_closed',
  'report_acknowledged',
  'delivery_sent',
  'study_arriving',
  'study_complete',
  'study_matched',
  'study_unmatched',
  'finding_raised',
  'finding_acknowledged',
  'finding_settled',
  'message_written',
] as const;

/** Asks again for everything of the clinic when something has happened to one of its cases. */
export function useClinicLive(): void {
  const cache = useQueryClient();
  const call = useCallback(() => void cache.invalidateQueries({ queryKey: ['clinic'] }), [cache]);
  useHappened(CASE_EVENTS, call);
}

function usePages<T>(name: string, load: (after: string | undefined) => Promise<Page<T>>) {
  return useInfiniteQuery({
    queryKey: ['clinic', name],
    queryFn: ({ pageParam }) => load(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last: Page<T>) => last.next ?? undefined,
  });
}

/** The clinic's cases, newest first; those with a text in the patient's name or a number, where one is given. */
export function useCases(text: string) {
  const query = text === '' ? {} : { text };
  return usePages<CaseLine>(`cases ${text}`, (after) => ok(api.GET('/api/v1/cases', { params: { query: { after, limit: 50, ...query } } })) as Promise<Page<CaseLine>>);
}

/** Reports that came back, newest first. */
export function useInbox() {
  return usePages<InboxItem>('inbox', (after) => ok(api.GET('/api/v1/inbox', { params: { query: { after, limit: 50 } } })) as Promise<Page<InboxItem>>);
}

/** Studies that are still on their way. */
export function useReceiving() {
  return useQuery({
    queryKey: ['clinic', 'receiving'],
    queryFn: async () => (await ok(api.GET('/api/v1/studies', { params: { query: { stage: 'arriving', limit: 50 } } }))).items as unknown as Study[],
  });
}

/** Studies that came and wait for a person's word. */
export function useStuck() {
  return useQuery({
    queryKey: ['clinic', 'stuck'],
    queryFn: async () => (await request<Page<Study>>('GET', '/api/v1/studies', undefined, { query: { trouble: true, limit: 50 } })).items,
  });
}

/** Messages that nobody here has read, by case. */
export function useUnread() {
  return useQuery({
    queryKey: ['clinic', 'unread'],
    queryFn: async () => {
      const { items } = await request<Page<Message>>('GET', '/api/v1/messages', undefined, { query: { unread: true, limit: 100 } });
      const counts = new Map<string, number>();
      for (const message of items) counts.set(message.case, (counts.get(message.case) ?? 0) + 1);
      return counts;
    },
  });
}

/** Critical findings that nobody has read back, or that nothing has been done about. */
export function useOpenFindings(enabled = true) {
  return useQuery({
    queryKey: ['clinic', 'findings'],
    enabled,
    refetchInterval: 60_000,
    queryFn: async () => {
      const stages = ['notifying', 'acknowledged'] as const;
      const pages = stages.map((stage) => request<Page<Finding>>('GET', '/api/v1/findings', undefined, { query: { stage, limit: 50 } }));
      return (await Promise.all(pages)).flatMap((page) => page.items);
    },
  });
}

/** One case with its request. */
export function useCase(id: string) {
  return useQuery({
    queryKey: ['clinic', 'case', id],
    queryFn: () => ok(api.GET('/api/v1/cases/{id}', { params: { path: { id } } })),
  });
}

/** The signed versions of a case, newest first, each whole. */
export function useReports(id: string) {
  return useQuery({
    queryKey: ['clinic', 'reports', id],
    queryFn: async () => {
      const lines = await ok(api.GET('/api/v1/cases/{id}/reports', { params: { path: { id } } }));
      const newest = [...lines].sort((a, b) => b.number - a.number);
      return Promise.all(newest.map((line) => ok(api.GET('/api/v1/reports/{id}', { params: { path: { id: line.id } } }))));
    },
  });
}

/** What was said about a case, oldest first. */
export function useMessages(id: string) {
  return useQuery({
    queryKey: ['clinic', 'messages', id],
    queryFn: async () => (await ok(api.GET('/api/v1/cases/{id}/messages', { params: { path: { id } } }))).items,
  });
}

/** The deliveries of a case to the clinic's inbox: what is acknowledged. */
export function useInboxOf(id: string) {
  return useQuery({
    queryKey: ['clinic', 'deliveries', id],
    queryFn: async () => {
      const page = await ok(api.GET('/api/v1/deliveries', { params: { query: { case: id, limit: 100 } } }));
      return (page.items as unknown as Schemas['ShownDelivery'][]).filter((delivery) => delivery.route === 'inbox');
    },
  });
}
