// What the coordinator asks of the relay.
import type { Schemas } from '@/api/client';
import { request } from '@/api/request';

export type Study = Schemas['StudyOutput'];
export type Order = Schemas['OrderOutput'];
export type Delivery = Schemas['ShownDelivery'];
export type Held = Schemas['QuarantineOutput'] & { settled_at?: number | null; settled_by_name?: string | null; settled_reason?: string | null };

export interface Line {
  rank: number;
  number: string;
  case: Schemas['CaseOutput'];
  clinic_name: string;
  centre_name: string;
  patient: string;
  patient_sex?: string | null;
  patient_birth_date?: string | null;
  study_date?: string | null;
  description?: string | null;
  body_part?: string | null;
  holder_name?: string | null;
  assigned?: string | null;
  assigned_name?: string | null;
  returned?: { code: string; text: string; by_name: string; at: number; times: number } | null;
}

export interface Queue {
  items: Line[];
  total?: number;
}

export interface Reader {
  person: string;
  name: string;
  roles: string[];
  modalities: string[];
  holds: number;
  waiting: number;
  signed_today: number;
}

export interface Finding {
  id: string;
  case: string;
  case_number: string;
  clinic_name: string;
  code: string;
  stage: string;
  raised_by_name: string;
  raised_at: number;
  due_at: number;
}

export type Listed<T> = { items: T[]; next?: string | null };

export function queue(asked: Record<string, string | number | boolean | null>): Promise<Queue> {
  return request('GET', '/api/v1/queue', undefined, { query: asked });
}

export function readers(centre: string): Promise<Listed<Reader>> {
  return request('GET', `/api/v1/centres/${encodeURIComponent(centre)}/readers`);
}

export function assign(id: string, person: string | null): Promise<unknown> {
  return request('POST', `/api/v1/cases/${encodeURIComponent(id)}/assign`, { person });
}

export function retry(id: string): Promise<unknown> {
  return request('POST', `/api/v1/deliveries/${encodeURIComponent(id)}/retry`);
}

export function match(study: string, order: string): Promise<Study> {
  return request('POST', `/api/v1/studies/${encodeURIComponent(study)}/match`, { order });
}

export function settle(id: string, reason: string): Promise<unknown> {
  return request('POST', `/api/v1/quarantine/${encodeURIComponent(id)}/settle`, { reason });
}
