// Phrases: `#` and a shortcut become a sentence. Pure text work; nothing of it runs while an input method composes.
import type { Template } from '../api';

export type Section = 'findings' | 'impression' | 'recommendation';

const TAIL = /#([\p{L}\p{N}_-]{0,32})$/u;

/** The shortcut that is being typed before the caret, without its `#`; `null` when there is none. */
export function typedShortcut(text: string, caret: number): string | null {
  return TAIL.exec(text.slice(0, caret))?.[1] ?? null;
}

/** What a phrase says in a section: its own text for it, else the first that it has. */
export function phraseText(phrase: Template, section: Section): string {
  return phrase[section] || phrase.findings || phrase.impression || phrase.recommendation;
}

/** Whether a text is for a modality and a body part; one that names neither is for all. */
export function fits(template: Template, modality: string, bodyPart: string | null): boolean {
  if (template.modality !== '' && template.modality.toUpperCase() !== modality.toUpperCase()) return false;
  return template.body_part === '' || bodyPart === null || template.body_part.toUpperCase() === bodyPart.toUpperCase();
}

function weight(template: Template, me: string, modality: string, bodyPart: string | null): number {
  const own = template.person === me ? 4 : 0;
  const part = bodyPart !== null && template.body_part !== '' && template.body_part.toUpperCase() === bodyPart.toUpperCase() ? 2 : 0;
  return own + part + (template.modality.toUpperCase() === modality.toUpperCase() ? 1 : 0);
}

/** Those that fit, one's own first, then the closest, then by name. */
export function ranked(templates: readonly Template[], me: string, modality: string, bodyPart: string | null): Template[] {
  const known = templates.filter((template) => fits(template, modality, bodyPart));
  const weighed = known.map((template) => ({ template, weight: weight(template, me, modality, bodyPart) }));
  return weighed.sort((a, b) => b.weight - a.weight || a.template.name.localeCompare(b.template.name, 'zh')).map((entry) => entry.template);
}

/** Phrases whose shortcut or name begins with what is typed, the exact ones first. */
export function suggestions(phrases: readonly Template[], typed: string): Template[] {
  const wanted = typed.toLowerCase();
  const begins = phrases.filter((phrase) => phrase.shortcut.toLowerCase().startsWith(wanted) || (wanted !== '' && phrase.name.toLowerCase().startsWith(wanted)));
  const exact = begins.filter((phrase) => phrase.shortcut.toLowerCase() === wanted);
  return [...exact, ...begins.filter((phrase) => !exact.includes(phrase))].slice(0, 8);
}

/** Where the shortcut before the caret stands and what goes there. */
export interface Expansion {
  from: number;
  to: number;
  text: string;
}

/** Puts a phrase in the place of the shortcut that is being typed. */
export function expansion(text: string, caret: number, phrase: Template, section: Section): Expansion | null {
  const typed = typedShortcut(text, caret);
  if (typed === null) return null;
  return { from: caret - typed.length - 1, to: caret, text: phraseText(phrase, section) };
}

/** The phrase whose shortcut has just been typed in full, if there is exactly that one. */
export function exactPhrase(phrases: readonly Template[], text: string, caret: number): Template | null {
  const typed = typedShortcut(text, caret)?.toLowerCase();
  if (!typed) return null;
  return phrases.find((phrase) => phrase.shortcut.toLowerCase() === typed) ?? null;
}

/** A template put into what is written: an empty section is filled, a written one is kept and followed by it. */
export function withTemplate<T extends Record<Section, string>>(written: T, template: Template): T {
  const add = (section: Section) => {
    const [have, more] = [written[section], template[section]];
    if (more === '' || have.includes(more)) return have;
    return have.trim() === '' ? more : `${have.replace(/\n*$/, '')}\n${more}`;
  };
  return { ...written, findings: add('findings'), impression: add('impression'), recommendation: add('recommendation') };
}
