// Which orders a study could belong to: field by field, the most alike first.
import { dicomDay } from '@/shared/time';
import { nameParts } from '@/shared/PatientName';

import type { Order, Study } from './api';

export interface Field {
  name: 'name' | 'id' | 'sex' | 'birth' | 'accession' | 'modality' | 'part' | 'uid';
  study: string;
  order: string;
  /** `null` when one side says nothing. */
  same: boolean | null;
  /** How much it says that they are the same. */
  weight: number;
}

export interface Candidate {
  order: Order;
  fields: Field[];
  score: number;
}

function plain(text: string | null | undefined): string {
  return (text ?? '').replaceAll(/[\s^=]+/g, '').toLowerCase();
}

function names(name: string): string[] {
  const { first, second } = nameParts(name);
  return [first, second ?? ''].map(plain).filter(Boolean);
}

function field(name: Field['name'], weight: number, study: string | null | undefined, order: string | null | undefined): Field {
  const [a, b] = [plain(study), plain(order)];
  return { name, weight, study: study ?? '', order: order ?? '', same: a === '' || b === '' ? null : a === b };
}

/** A study and an order side by side. */
export function compared(study: Study, order: Order): Candidate {
  const named = field('name', 4, study.patient, order.patient_name);
  const known = names(study.patient_name);
  named.order = nameParts(order.patient_name).first;
  if (named.same === false) named.same = names(order.patient_name).some((name) => known.includes(name));
  const fields = [
    named,
    field('id', 5, study.patient_id, order.patient_id),
    field('sex', 1, study.patient_sex, order.patient_sex),
    field('birth', 3, dicomDay(study.patient_birth_date), dicomDay(order.patient_birth_date)),
    field('accession', 6, study.accession, order.accession),
    field('modality', 2, study.modality, order.modality),
    field('part', 1, study.body_part, order.body_part),
    field('uid', 8, study.uid, order.study_uid),
  ];
  const score = fields.reduce((sum, { same, weight }) => sum + (same === null ? 0 : same ? weight : -weight), 0);
  return { order, fields, score };
}

/** The candidates, best first; of equals the one written closer to the arrival. */
export function ranked(study: Study, orders: Order[]): Candidate[] {
  const far = (order: Order) => Math.abs(order.created_at - study.first_at);
  return orders.map((order) => compared(study, order)).sort((a, b) => b.score - a.score || far(a.order) - far(b.order));
}

/** Whether who it is differs: then somebody must look twice. */
export function otherPatient(candidate: Candidate): boolean {
  return candidate.fields.some(({ name, same }) => same === false && ['name', 'id', 'sex', 'birth'].includes(name));
}
