// Metadata that was fetched already, for the viewer and for prefetching; in memory only and gone at signing out.
import { wipeAtSignOut } from '@/app/session';

import { text, type Attributes } from './json';
import { askSeries, askSeriesMetadata } from './web';

const MOST = 24;
const lists = new Map<string, Promise<Attributes[]>>();
const metadata = new Map<string, Promise<Attributes[]>>();

wipeAtSignOut(() => {
  lists.clear();
  metadata.clear();
});

function keep<T>(map: Map<string, Promise<T>>, key: string, ask: () => Promise<T>): Promise<T> {
  const there = map.get(key);
  if (there) return there;
  const asked = ask();
  map.set(key, asked);
  asked.catch(() => map.delete(key));
  const oldest = map.size > MOST * 4 ? map.keys().next().value : undefined;
  if (oldest !== undefined) map.delete(oldest);
  return asked;
}

/** The series of a study; `again` asks anew. */
export function seriesOf(study: string, again = false, low = false): Promise<Attributes[]> {
  if (again) lists.delete(study);
  return keep(lists, study, () => askSeries(study, undefined, low));
}

/** The metadata of a series that has so many images; with another number it is asked anew. */
export function metadataOf(study: string, series: string, count: number, low = false): Promise<Attributes[]> {
  return keep(metadata, `${study}/${series}/${count}`, () => askSeriesMetadata(study, series, undefined, low));
}

/** How many images a series in a list says it has. */
export function countOf(set: Attributes): number {
  return Number(text(set, '00201209') ?? 0) || 0;
}
