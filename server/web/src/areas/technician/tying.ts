// A request that names another patient ID than the images waits at the relay for a person's word. Where that word was given in the form,
// it is said as soon as the images are there; when the page is closed before, the study stands among those that wait to be checked.
import { request } from '@/api/request';

const TRIES = 20;
const PAUSE_MS = 1_000;
const explained = new Map<string, string>();

interface Listed {
  items: { id: string }[];
}

/** Remembers that a study and a request are of one patient, by somebody's word. */
export function explain(study: string, order: string): void {
  explained.set(study, order);
}

/** Ties a study that has arrived to its request, if somebody has given their word for it. */
export async function tie(study: string): Promise<void> {
  const order = explained.get(study);
  if (order === undefined) return;
  explained.delete(study);
  for (let count = 0; count < TRIES; count += 1) {
    const { items } = await request<Listed>('GET', '/api/v1/studies', undefined, { query: { trouble: true, uid: study } });
    const [found] = items;
    if (found) {
      await request('POST', `/api/v1/studies/${encodeURIComponent(found.id)}/match`, { order });
      return;
    }
    await new Promise((go) => setTimeout(go, PAUSE_MS));
  }
}
