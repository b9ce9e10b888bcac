// Requests: reading and writing them, and whether the images are of the patient that they name.
import { request } from '@/api/request';
import { nameParts } from '@/shared/PatientName';
import { foldName } from '@/upload/group';
import type { Card } from '@/upload/views';

/** A request as the relay has it. */
export interface Order {
  id: string;
  number: string;
  clinic: string;
  patient_id: string;
  patient_name: string;
  patient_sex?: string | null;
  patient_birth_date?: string | null;
  accession?: string | null;
  modality: string;
  body_part?: string | null;
  priority: string;
  history: string;
  question: string;
  study_uid?: string | null;
  /** The study that it has already; then it can no longer be changed. */
  study?: string | null;
  created_at: number;
  version: number;
}

/** Whom a request is about. */
export interface Identity {
  name: string;
  id: string;
  sex: string;
  birthDate: string;
}

export type Field = 'name' | 'id' | 'sex' | 'birthDate';

/** What of the request and the images does not agree. What one of them does not say agrees with everything, but for name and ID. */
export function mismatches(order: Identity, card: Card): Field[] {
  const { patient } = card;
  const found: Field[] = [];
  if (!sameName(order.name, patient.name)) found.push('name');
  if (order.id.trim() !== patient.id.trim()) found.push('id');
  if (order.sex !== '' && patient.sex !== '' && order.sex !== patient.sex) found.push('sex');
  if (order.birthDate !== '' && patient.birthDate !== '' && order.birthDate !== patient.birthDate) found.push('birthDate');
  return found;
}

/** The same name: in characters where both have them, else any group that both have. */
function sameName(a: string, b: string): boolean {
  const groups = (name: string) => {
    const { first, second } = nameParts(name);
    return [first, second ?? ''].map((group) => foldName(group).replaceAll(' ', '')).filter((group) => group !== '');
  };
  const [x, y] = [groups(a), groups(b)];
  if (x.length === 0 || y.length === 0) return x.length === y.length;
  const written = (list: string[]) => list.find((group) => /[\u2E80-\u9FFF\uF900-\uFAFF]|[\u{20000}-\u{3FFFF}]/u.test(group));
  const [p, q] = [written(x), written(y)];
  if (p !== undefined && q !== undefined) return p === q;
  return x.some((group) => y.includes(group));
}

/** Requests of a clinic that still wait for their images. */
export async function waitingOrders(clinic: string): Promise<Order[]> {
  const { items } = await request<{ items: Order[] }>('GET', '/api/v1/orders', undefined, { query: { clinic, matched: false, limit: 200 } });
  return items;
}

/** The request of a study that the relay has already: more images of it need no other. */
export async function orderOf(clinic: string, study: string): Promise<Order | null> {
  const { items } = await request<{ items: { order?: string | null }[] }>('GET', '/api/v1/studies', undefined, { query: { clinic, uid: study } });
  const order = items[0]?.order;
  return order ? request<Order>('GET', `/api/v1/orders/${encodeURIComponent(order)}`) : null;
}

/** The request that a study most probably belongs to. */
export function likely(orders: Order[], card: Card): Order | null {
  const exact = orders.find((order) => order.study_uid === card.uid) ?? orders.find((order) => card.accession !== '' && order.accession === card.accession);
  if (exact) return exact;
  const same = orders.filter((order) => order.patient_id === card.patient.id && card.modalities.includes(order.modality) && !order.study_uid);
  return same.length === 1 ? (same[0] ?? null) : null;
}

/** The body of a new request. */
export interface NewOrder {
  clinic: string;
  patient_id: string;
  patient_name: string;
  patient_sex: string | null;
  patient_birth_date: string | null;
  modality: string;
  body_part: string | null;
  priority: string;
  history: string;
  question: string;
  study_uid: string;
  accession: string | null;
}

export function writeOrder(order: NewOrder, key: string): Promise<Order> {
  return request<Order>('POST', '/api/v1/orders', order, { key });
}

export function changeOrder(order: Order, change: Partial<NewOrder>): Promise<Order> {
  return request<Order>('PATCH', `/api/v1/orders/${encodeURIComponent(order.id)}`, { ...change, version: order.version });
}
