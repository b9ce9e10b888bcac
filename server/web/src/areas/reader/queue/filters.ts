// Filters of the queue: what was typed becomes a filter a moment later, and filters can be kept under a name.
import { useEffect, useState } from 'react';

import { memoByInput } from '@/shared/memo';

import { TABS, type Filter, type Tab } from '../api';

export const NO_FILTER: Filter = { tab: 'ready', text: '', modality: '', clinic: '', priority: '', overdue: false };
export const MODALITIES = ['CT', 'MR', 'DX', 'CR', 'MG', 'US', 'XA', 'RF', 'NM', 'PT', 'ECG', 'ES', 'SC'] as const;
export const PRIORITIES = ['stat', 'urgent', 'routine'] as const;

const WIDE = /[\u2E80-\u9FFF\uF900-\uFAFF\u{20000}-\u{3FFFF}]/gu;

/** Whether a text is long enough to search for: three letters, or two characters. */
export function searchable(text: string): boolean {
  const wide = text.match(WIDE)?.length ?? 0;
  return wide >= 2 || [...text].length >= 3;
}

/** What was typed, 400 ms after the last key, once it is long enough; empty before. */
export function useSearch(typed: string): string {
  const text = typed.trim();
  const wanted = searchable(text) ? text : '';
  const [settled, setSettled] = useState(wanted);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(wanted), wanted === '' ? 0 : 400);
    return () => clearTimeout(timer);
  }, [wanted]);
  return settled;
}

/** A filter under a name; the text that was searched for is never kept, it may be a patient's name. */
export interface SavedFilter {
  name: string;
  filter: Filter;
}

function filterOf(value: unknown): Filter {
  const given = (value ?? {}) as Record<string, unknown>;
  const text = (name: string) => (typeof given[name] === 'string' ? given[name] : '');
  const tab = TABS.find((known) => known === given['tab']) ?? ('ready' satisfies Tab);
  return { tab, text: '', modality: text('modality'), clinic: text('clinic'), priority: text('priority'), overdue: given['overdue'] === true };
}

/** The filters that are kept, whatever is there. */
export const readSaved = memoByInput((value: unknown): SavedFilter[] => {
  if (!Array.isArray(value)) return [];
  return value.slice(0, 20).flatMap((entry: unknown) => {
    const { name, filter } = (entry ?? {}) as { name?: unknown; filter?: unknown };
    return typeof name === 'string' && name !== '' ? [{ name: name.slice(0, 40), filter: filterOf(filter) }] : [];
  });
});

/** Whether a filter leaves anything out, besides its part of the queue. */
export function narrows(filter: Filter): boolean {
  return filter.text !== '' || filter.modality !== '' || filter.clinic !== '' || filter.priority !== '' || filter.overdue;
}
