// The papers of a request: consent forms and the like, photographs and PDFs.
import { request } from '@/api/request';

/** A paper as the relay has it. */
export interface Paper {
  id: string;
  name: string;
  media_type: string;
  bytes: number;
  added_by_name: string;
  added_at: number;
}

export const PAPER_TYPES = ['application/pdf', 'image/jpeg', 'image/png'];
export const PAPER_BYTES = 8 << 20;

const ENDINGS: Record<string, string> = { 'application/pdf': 'pdf', 'image/png': 'png' };

/** Whether the relay takes a file as a paper. */
export function isPaper(file: File): boolean {
  return PAPER_TYPES.includes(file.type) && file.size <= PAPER_BYTES;
}

/** The papers of a request. */
export async function readPapers(order: string): Promise<Paper[]> {
  return (await request<{ items: Paper[] }>('GET', `/api/v1/orders/${encodeURIComponent(order)}/attachments`)).items;
}

/** Adds a paper. Its own name may hold a patient's, and addresses are written to logs: it goes as `stem` and its number. */
export function addPaper(order: string, stem: string, number: number, paper: File): Promise<{ id: string }> {
  const headers = { 'Content-Type': paper.type };
  const name = `${stem}-${number}.${ENDINGS[paper.type] ?? 'jpg'}`;
  return request('POST', `/api/v1/orders/${encodeURIComponent(order)}/attachments`, paper, { query: { name }, headers });
}

/** Where a paper is read. */
export function paperPath(id: string): string {
  return `/api/v1/attachments/${encodeURIComponent(id)}`;
}
