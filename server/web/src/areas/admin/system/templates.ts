// Texts for reports as files: what is exported can be imported elsewhere, without the numbers of this relay.

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

export interface TemplateTyped {
  organization: string;
  own?: boolean;
  name: string;
  shortcut?: string;
  modality?: string;
  body_part?: string;
  findings?: string;
  impression?: string;
  recommendation?: string;
}

const TEXTS = ['name', 'shortcut', 'modality', 'body_part', 'findings', 'impression', 'recommendation'] as const;
export type Portable = { kind: 'template' | 'phrase' } & Record<(typeof TEXTS)[number], string>;

function portable(from: Partial<Record<string, unknown>>): Portable | null {
  const kind = from['kind'] === 'phrase' ? 'phrase' : from['kind'] === 'template' ? 'template' : null;
  if (!kind || typeof from['name'] !== 'string' || from['name'].trim() === '') return null;
  const text = (name: string) => (typeof from[name] === 'string' ? from[name] : '');
  return { kind, ...(Object.fromEntries(TEXTS.map((name) => [name, text(name)])) as Record<(typeof TEXTS)[number], string>) };
}

/** The file of an export. */
export function packed(templates: Template[]): string {
  const items = templates.map((template) => portable({ ...template })).filter((item) => item !== null);
  return `${JSON.stringify({ format: 'medrelay-templates/1', items }, null, 2)}\n`;
}

/** What a file holds; throws when it is none of ours. */
export function unpacked(text: string): Portable[] {
  const read = JSON.parse(text.replace(/^\uFEFF/, '')) as { format?: unknown; items?: unknown };
  if (read.format !== 'medrelay-templates/1' || !Array.isArray(read.items)) throw new Error('not an export of templates');
  return read.items.map((item: unknown) => (item !== null && typeof item === 'object' ? portable(item as Record<string, unknown>) : null)).filter((item) => item !== null);
}
