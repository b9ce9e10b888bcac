// What readers ask of the relay, by name. Everything about a claim carries its proof; everything that creates carries a key.
import type { Schemas } from '@/api/client';
import { request } from '@/api/request';

export type CaseBody = Schemas['CaseOutput'];
export type Order = Schemas['OrderOutput'];
export type Study = Schemas['StudyOutput'];
export type Writing = { findings: string; impression: string; recommendation: string };

export interface Proof {
  token: string;
  fence: number;
}

export interface Returned {
  code: string;
  text: string;
  by: string;
  by_name: string;
  at: number;
  times: number;
}

export interface CaseLine {
  case: CaseBody;
  number: string;
  clinic_name: string;
  centre_name: string;
  holder_name?: string | null;
  patient: string;
  patient_id?: string;
  patient_sex?: string | null;
  patient_birth_date?: string | null;
  accession?: string | null;
  description?: string | null;
  body_part?: string | null;
  question?: string | null;
  study_uid?: string;
  study_date?: string | null;
  study_time?: string | null;
  series?: number;
  instances: number;
  expected?: number | null;
  complete?: boolean;
  priors?: number;
  preliminary_by_name?: string | null;
  assigned?: string | null;
  assigned_name?: string | null;
  critical?: string;
  discussion?: number;
  returned?: Returned | null;
}

export interface QueueLine extends CaseLine {
  rank: number;
}

export type Tab = 'ready' | 'mine' | 'review' | 'returned' | 'critical' | 'receiving' | 'all';
export const TABS: readonly Tab[] = ['mine', 'ready', 'review', 'returned', 'critical', 'receiving', 'all'];

export interface Filter {
  tab: Tab;
  text: string;
  modality: string;
  clinic: string;
  priority: string;
  overdue: boolean;
}

export interface QueuePage {
  items: QueueLine[];
  total: number;
  counts: Record<Tab, number> & { signed_today?: number };
}

export interface CaseDetail {
  case: CaseBody;
  number: string;
  clinic_name: string;
  centre_name: string;
  holder_name?: string | null;
  study: Study;
  order?: Order | null;
  returned?: Returned | null;
  assigned?: string | null;
  assigned_name?: string | null;
  preliminary_by_name?: string | null;
  critical?: string;
}

export interface Claim {
  case: CaseBody;
  token: string;
  fence: number;
}

export interface Prior {
  study: string;
  study_uid: string;
  case: string | null;
  clinic_name: string;
  modality: string;
  body_part: string | null;
  description: string | null;
  study_date: string | null;
  instances: number;
  report: string | null;
  same_patient_id: boolean;
}

export interface Draft {
  id: string;
  author: string;
  author_name?: string | null;
  fence: number;
  state: string;
  text: Writing;
  saved_at: number;
}

export interface Signer {
  person: string;
  name: string;
  organization: string;
}

export interface ReportLine {
  id: string;
  case: string;
  number: number;
  report_number: string;
  kind: 'preliminary' | 'final' | 'addendum';
  reporter: Signer;
  verifier?: Signer | null;
  signed_at: number;
  sha256: string;
}

export interface Report extends ReportLine {
  text: Writing;
  reason?: string | null;
  patient_name: string;
  patient_id: string;
}

export interface Message {
  id: string;
  case: string;
  kind: 'return_request' | 'notice' | 'discussion';
  code?: string | null;
  text: string;
  written_by: string;
  written_by_name: string;
  written_at: number;
  organization?: string;
  organization_name?: string;
}

export interface Finding {
  id: string;
  case: string;
  code: string;
  text: string;
  stage: 'notifying' | 'acknowledged' | 'settled' | 'false_alarm';
  raised_by_name: string;
  raised_at: number;
  due_at: number;
  acknowledged_by_name: string | null;
  acknowledged_at: number | null;
  read_back: string | null;
  disposition: string | null;
  settled_at: number | null;
}

export interface Attachment {
  id: string;
  name: string;
  media_type: string;
  bytes: number;
}

export interface Template {
  id: string;
  organization: string;
  person: string | null;
  kind: 'template' | 'phrase';
  name: string;
  shortcut: string;
  modality: string;
  body_part: string;
  findings: string;
  impression: string;
  recommendation: string;
  version: number;
}

interface Items<T> {
  items: T[];
}

const one = (id: string) => `/api/v1/cases/${encodeURIComponent(id)}`;

/** A window of the queue. */
export function queuePage(filter: Filter, offset: number, limit: number, signal?: AbortSignal): Promise<QueuePage> {
  const { overdue, ...rest } = filter;
  return request('GET', '/api/v1/queue', undefined, { query: { ...rest, overdue: overdue ? true : undefined, offset, limit }, signal });
}

export const nextCase = (key: string) => request<Claim>('POST', '/api/v1/queue/next', undefined, { key });
export const readCase = (id: string) => request<CaseDetail>('GET', one(id));
export const claimCase = (id: string, key: string) => request<Claim>('POST', `${one(id)}/claim`, undefined, { key });
export const takeOver = (id: string, reason: string, key: string) => request<Claim>('POST', `${one(id)}/take-over`, { reason }, { key });
export const keepClaim = (id: string, proof: Proof) => request<CaseBody>('POST', `${one(id)}/heartbeat`, proof);
export const releaseCase = (id: string, proof: Proof, reason: string) => request<CaseBody>('POST', `${one(id)}/release`, { ...proof, reason });

export const returnCase = (id: string, body: { proof?: Proof; code: string; text: string }, key: string) => request<CaseBody>('POST', `${one(id)}/return`, body, { key });
export const saveDraft = (id: string, proof: Proof, text: Writing, keepalive = false) => request<Draft>('PUT', `${one(id)}/draft`, { proof, text }, { keepalive });
export const readDrafts = (id: string) => request<Draft[]>('GET', `${one(id)}/drafts`);
export const signReport = (id: string, proof: Proof, text: Writing, key: string) => request<Report>('POST', `${one(id)}/sign`, { proof, text }, { key });
export const addAddendum = (id: string, text: Writing, reason: string, key: string) => request<Report>('POST', `${one(id)}/addenda`, { text, reason }, { key });
export const readReports = (id: string) => request<ReportLine[]>('GET', `${one(id)}/reports`);
export const readReport = (id: string) => request<Report>('GET', `/api/v1/reports/${encodeURIComponent(id)}`);
export const pdfOf = (report: string) => `/api/v1/reports/${encodeURIComponent(report)}/pdf`;

export const readPriors = async (id: string) => (await request<Items<Prior>>('GET', `${one(id)}/priors`)).items;
export const readMessages = async (id: string) => (await request<Items<Message>>('GET', `${one(id)}/messages`)).items;
export const writeMessage = (id: string, body: { kind: Message['kind']; text: string }, key: string) => request<Message>('POST', `${one(id)}/messages`, body, { key });
export const readFindings = async (id: string) => (await request<Items<Finding>>('GET', `${one(id)}/findings`)).items;
export const raiseFinding = (id: string, body: { code: string; text: string }, key: string) => request<Finding>('POST', `${one(id)}/findings`, body, { key });
export const callOff = (finding: string, reason: string, key: string) => request<Finding>('POST', `/api/v1/findings/${encodeURIComponent(finding)}/false-alarm`, { reason }, { key });

export const readAttachments = async (order: string) => (await request<Items<Attachment>>('GET', `/api/v1/orders/${encodeURIComponent(order)}/attachments`)).items;
export const attachmentPath = (id: string) => `/api/v1/attachments/${encodeURIComponent(id)}`;

export const readAnnotations = (id: string) => request<{ body: unknown; saved_at: number | null }>('GET', `${one(id)}/annotations`);
export const saveAnnotations = (id: string, proof: Proof, body: unknown) => request<{ sha256: string; saved_at: number }>('PUT', `${one(id)}/annotations`, { proof, body });
export const reportAnnotations = (id: string) => request<{ body: unknown }>('GET', `/api/v1/reports/${encodeURIComponent(id)}/annotations`);

/** All texts of a kind that may be used, page by page. */
export async function readTemplates(kind: Template['kind']): Promise<Template[]> {
  const all: Template[] = [];
  let after: string | null = null;
  do {
    const page: { items: Template[]; next?: string | null } = await request('GET', '/api/v1/templates', undefined, { query: { kind, after, limit: 200 } });
    all.push(...page.items);
    // The last page may name no next one at all.
    after = page.items.length > 0 ? (page.next ?? null) : null;
  } while (after !== null && all.length < 2_000);
  return all;
}

export const addTemplate = (body: Omit<Template, 'id' | 'version' | 'person'> & { own: boolean }, key: string) => request<Template>('POST', '/api/v1/templates', body, { key });

/** Studies that are still arriving. */
export const arrivingStudies = async () => (await request<Items<Study>>('GET', '/api/v1/studies', undefined, { query: { stage: 'arriving', limit: 200 } })).items;
