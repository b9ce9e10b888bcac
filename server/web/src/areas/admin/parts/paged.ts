// A list of the relay that is fetched page by page, with `after`.
import { useInfiniteQuery, type QueryKey } from '@tanstack/react-query';

import { request, withQuery } from '@/api/request';

export interface Page<T> {
  items: T[];
  next?: string | null;
}

type Asked = Record<string, string | number | boolean | null | undefined>;

/** What a list shows of its pages. */
export interface Paged<T> {
  items: T[];
  loading: boolean;
  error: Error | null;
  more: boolean;
  fetching: boolean;
  next: () => void;
  again: () => void;
}

interface Options {
  limit?: number;
  enabled?: boolean;
  /** Asked again this often, in milliseconds, besides live events. */
  every?: number;
}

/** Follows a list; `key` is what it is made stale by. */
export function usePaged<T>(key: QueryKey, path: string, asked: Asked = {}, { limit = 50, enabled = true, every }: Options = {}): Paged<T> {
  const answer = useInfiniteQuery({
    queryKey: [...key, asked, limit],
    queryFn: ({ pageParam, signal }) => request<Page<T>>('GET', path, undefined, { query: { ...asked, after: pageParam, limit }, signal }),
    initialPageParam: '',
    getNextPageParam: (last) => last.next ?? undefined,
    enabled,
    ...(every ? { refetchInterval: every } : {}),
  });
  return {
    items: answer.data?.pages.flatMap((page) => page.items) ?? [],
    loading: answer.isPending && enabled,
    error: answer.error,
    more: answer.hasNextPage,
    fetching: answer.isFetchingNextPage,
    next: () => void answer.fetchNextPage(),
    again: () => void answer.refetch(),
  };
}

/** A list to its end, for choices in a form; stops at `most` items. */
export async function everything<T>(path: string, asked: Asked = {}, most = 2_000, tell?: (count: number) => void): Promise<T[]> {
  const items: T[] = [];
  let after: string | null | undefined = '';
  do {
    const page: Page<T> = await request<Page<T>>('GET', withQuery(path, { ...asked, after, limit: 200 }));
    items.push(...page.items);
    tell?.(items.length);
    after = page.next;
  } while (after && items.length < most);
  return items;
}
