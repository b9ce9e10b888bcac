// Reading the DICOM JSON model (PS3.18 F). Only this file knows how its values stand.

export interface Element {
  vr?: string;
  Value?: unknown[];
  BulkDataURI?: string;
  InlineBinary?: string;
}

/** One data set: `{ "00100010": { vr: "PN", Value: [...] } }`. */
export type Attributes = Record<string, Element | undefined>;

export function valuesOf(set: Attributes | undefined, tag: string): unknown[] {
  return set?.[tag]?.Value ?? [];
}

/** The first value as text without the spaces around it. */
export function text(set: Attributes | undefined, tag: string): string | null {
  const value = valuesOf(set, tag)[0];
  if (typeof value === 'string') return value.trim() || null;
  return typeof value === 'number' ? String(value) : null;
}

export function texts(set: Attributes | undefined, tag: string): string[] {
  return valuesOf(set, tag).map((value) => (value === null || value === undefined ? '' : String(value).trim()));
}

/** Numbers; DS and IS may come as text. */
export function numbers(set: Attributes | undefined, tag: string): number[] {
  return valuesOf(set, tag)
    .map((value) => (typeof value === 'number' ? value : typeof value === 'string' ? Number.parseFloat(value) : Number.NaN))
    .filter((value) => Number.isFinite(value));
}

export function number(set: Attributes | undefined, tag: string): number | null {
  return numbers(set, tag)[0] ?? null;
}

export function sequence(set: Attributes | undefined, tag: string): Attributes[] {
  return valuesOf(set, tag).filter((value): value is Attributes => typeof value === 'object' && value !== null);
}

/** A person's name as people read it: ideographic first, then the alphabetic form. */
export function personName(set: Attributes | undefined, tag: string): { first: string; second: string | null } | null {
  const value = valuesOf(set, tag)[0];
  const plain = (name: unknown) =>
    typeof name === 'string'
      ? name.split('^').map((part) => part.trim()).filter(Boolean)
      : [];
  if (typeof value === 'string') {
    const [alphabetic, ideographic] = value.split('=');
    return named(plain(ideographic).join(''), plain(alphabetic).join(' '));
  }
  if (typeof value !== 'object' || value === null) return null;
  const groups = value as { Alphabetic?: string; Ideographic?: string; Phonetic?: string };
  return named(plain(groups.Ideographic).join(''), plain(groups.Alphabetic).join(' '));
}

function named(ideographic: string, alphabetic: string): { first: string; second: string | null } | null {
  if (ideographic) return { first: ideographic, second: alphabetic && alphabetic !== ideographic ? alphabetic : null };
  // A name of Chinese characters in the first group is read without spaces.
  const joined = /[\u3400-\u9fff]/.test(alphabetic) ? alphabetic.replaceAll(' ', '') : alphabetic;
  return joined ? { first: joined, second: null } : null;
}

/** `20260301` as `2026-03-01`. */
export function dateText(value: string | null): string | null {
  const found = /^(\d{4})[.-]?(\d{2})[.-]?(\d{2})/.exec(value ?? '');
  return found ? `${found[1]}-${found[2]}-${found[3]}` : null;
}

/** `093015.2` as `09:30`. */
export function timeText(value: string | null): string | null {
  const found = /^(\d{2}):?(\d{2})/.exec(value ?? '');
  return found ? `${found[1]}:${found[2]}` : null;
}

/** Bytes of a value that stands in the document itself. */
export function inlineBytes(element: Element | undefined): Uint8Array | null {
  if (!element?.InlineBinary) return null;
  const raw = atob(element.InlineBinary);
  return Uint8Array.from(raw, (character) => character.charCodeAt(0));
}
