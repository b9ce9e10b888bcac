// From a filled form to a request at the relay and a study under way; done again after a failure, nothing is doubled.
import i18next from 'i18next';

import { queries } from '@/app/queries';
import { addPaper } from '@/shared/papers';
import { nameParts } from '@/shared/PatientName';
import { ask, type Draft } from '@/upload';

import { changeOrder, type Field, type Identity, type Order, writeOrder } from './orders';
import { explain } from './tying';

/** What is written in the form. */
export interface Written {
  patient: Identity;
  question: string;
  history: string;
  priority: 'stat' | 'urgent' | 'routine';
  bodyPart: string;
}

interface Submission {
  draft: Draft;
  clinic: string;
  /** The request that was chosen; null for a new one. */
  order: Order | null;
  written: Written;
  reason: string;
  differing: Field[];
  papers: File[];
  /** The same for every try of the same form. */
  key: string;
}

const URGENCY = { stat: 0, urgent: 1, routine: 2 } as const;
/** What earlier tries of a form have done: its request, and how many of its papers are there. */
const done = new Map<string, { order: Order; papers: Set<File> }>();

/** A form that says what the images say. */
export function emptyOrder(draft: Draft): Written {
  const { patient, bodyPart } = draft;
  const sex = ['M', 'F', 'O'].includes(patient.sex) ? patient.sex : '';
  const identity = { name: nameParts(patient.name).first, id: patient.id, sex, birthDate: /^\d{8}$/.test(patient.birthDate) ? patient.birthDate : '' };
  return { patient: identity, question: '', history: '', priority: 'routine', bodyPart };
}

const fromOrders = new Map<string, Written>();

/** What a chosen request says, with what was changed in the form. */
export function fromOrder(order: Order, written: Written): Written {
  const known = fromOrders.get(order.id) ?? {
    patient: { name: order.patient_name, id: order.patient_id, sex: order.patient_sex ?? '', birthDate: order.patient_birth_date ?? '' },
    question: order.question,
    history: order.history,
    priority: order.priority === 'stat' || order.priority === 'urgent' ? order.priority : 'routine',
    bodyPart: order.body_part ?? '',
  };
  fromOrders.set(order.id, known);
  return {
    patient: known.patient,
    question: written.question || known.question,
    history: written.history || known.history,
    priority: written.priority !== 'routine' ? written.priority : known.priority,
    bodyPart: known.bodyPart || written.bodyPart,
  };
}

/** Writes the request, adds its papers, and lets the study go. */
export async function submit(submission: Submission): Promise<void> {
  const { draft, papers, key, written } = submission;
  const before = done.get(key);
  const order = before?.order ?? (await theOrder(submission));
  const there = before?.papers ?? new Set<File>();
  done.set(key, { order, papers: there });
  for (const paper of papers) {
    if (there.has(paper)) continue;
    await addPaper(order.id, i18next.t('technician:paper.name'), there.size + 1, paper);
    there.add(paper);
  }
  if (submission.differing.includes('id') && !order.study) explain(draft.uid, order.id);
  ask({ ask: 'send', key: draft.key, clinic: submission.clinic, urgency: URGENCY[written.priority] });
  done.delete(key);
  void queries.invalidateQueries({ queryKey: ['orders'] });
}

function theOrder({ draft, clinic, order, written, reason, differing, key }: Submission): Promise<Order> {
  if (order?.study) return Promise.resolve(order);
  const note = reason === '' ? '' : noteOf(reason, differing);
  const history = [written.history.trim(), note].filter(Boolean).join('\n');
  const asked = { question: written.question.trim(), history, priority: written.priority, study_uid: draft.uid };
  if (order) return changeOrder(order, { ...asked, ...(written.bodyPart === '' ? {} : { body_part: written.bodyPart }) });
  const { patient } = written;
  const body = {
    ...asked,
    clinic,
    patient_id: patient.id.trim(),
    patient_name: patient.name.trim(),
    patient_sex: patient.sex || null,
    patient_birth_date: /^\d{8}$/.test(patient.birthDate) ? patient.birthDate : null,
    modality: draft.modalities[0] ?? 'OT',
    body_part: written.bodyPart || null,
    accession: draft.accession || null,
  };
  return writeOrder(body, key);
}

/** Why request and images are of the same patient all the same: for the reader, and kept with the request. */
function noteOf(reason: string, differing: Field[]): string {
  const fields = differing.map((field) => i18next.t(`technician:order.field.${field}`)).join(i18next.t('technician:issue.and'));
  return fields === '' ? i18next.t('technician:order.noteIdentity', { reason }) : i18next.t('technician:order.note', { fields, reason });
}
