// Which hanging protocol fits a study, and which stack goes into which pane. Pure: protocols are data.
import { planeOf } from '../dicom/geometry';
import type { Stack } from '../dicom/model';

/** What a stack must be. Every field that is given must fit. */
export interface Wanted {
  modality?: string[];
  /** Matched against description and protocol name, ignoring case; Chinese and English. */
  text?: string;
  notText?: string;
  plane?: 'axial' | 'coronal' | 'sagittal';
  view?: string[];
  laterality?: string[];
  prior?: boolean;
  kind?: Stack['kind'][];
  /** At least so many images. */
  images?: number;
}

export interface PaneRule {
  want: Wanted;
  /** Less strict, tried when nothing fits. */
  otherwise?: Wanted[];
  window?: { centre: number; width: number };
  /** Cut this plane out of the volume of the pane's stack. */
  cut?: 'axial' | 'coronal' | 'sagittal';
  cine?: boolean;
  /** May show what another pane shows already. */
  again?: boolean;
}

export interface Protocol {
  id: string;
  name: { zh: string; en: string };
  /** Higher wins. */
  rank: number;
  when: { modality?: string[]; bodyPart?: string[]; prior?: boolean; stacks?: [number, number]; manual?: boolean };
  layout: { rows: number; columns: number };
  panes: PaneRule[];
  /** Panes that scroll together by position, and what else they share. */
  sync?: { panes: number[]; share: ('scroll' | 'window' | 'zoom')[] }[];
}

export interface Hung {
  stack: Stack | null;
  rule: PaneRule | null;
}

function says(stack: Stack, expression: string): boolean {
  return new RegExp(expression, 'i').test(`${stack.description} ${stack.protocol}`);
}

/** Whether a stack is what is wanted. */
export function fits(stack: Stack, want: Wanted): boolean {
  if (want.prior !== undefined && stack.prior !== want.prior) return false;
  if (want.modality && !want.modality.includes(stack.modality)) return false;
  if (want.kind && !want.kind.includes(stack.kind)) return false;
  if (want.images !== undefined && stack.expected < want.images) return false;
  if (want.view && !want.view.includes(stack.view.toUpperCase())) return false;
  if (want.laterality && !want.laterality.includes(stack.laterality.toUpperCase())) return false;
  if (want.text !== undefined && !says(stack, want.text)) return false;
  if (want.notText !== undefined && says(stack, want.notText)) return false;
  if (want.plane !== undefined) {
    // Before its metadata is there, a stack's plane is only what its description says.
    const plane = planeOf(stack.frames[0]?.orientation ?? null);
    if (plane !== null && plane !== want.plane) return false;
  }
  return true;
}

/** Every protocol that may be chosen for these stacks, the best first. */
export function fitting(protocols: readonly Protocol[], stacks: readonly Stack[], manual = false): Protocol[] {
  const current = stacks.filter((stack) => !stack.prior);
  const modality = mostOf(current);
  const priors = stacks.some((stack) => stack.prior);
  const part = current.map((stack) => stack.bodyPart.toUpperCase()).find(Boolean) ?? '';
  return protocols
    .filter(({ when }) => {
      if (when.manual && !manual) return false;
      if (when.modality && !when.modality.includes(modality)) return false;
      if (when.bodyPart && !when.bodyPart.includes(part)) return false;
      if (when.prior !== undefined && when.prior !== priors) return false;
      return !when.stacks || (current.length >= when.stacks[0] && current.length <= when.stacks[1]);
    })
    .sort((a, b) => b.rank - a.rank);
}

const IMAGES = new Set(['CT', 'MR', 'CR', 'DX', 'MG', 'US', 'XA', 'NM', 'PT', 'ECG', 'RF', 'ES', 'SC', 'OT']);

/** The modality with the most images; documents do not count. */
export function mostOf(stacks: readonly Stack[]): string {
  const counts = new Map<string, number>();
  for (const stack of stacks) {
    if (IMAGES.has(stack.modality)) counts.set(stack.modality, (counts.get(stack.modality) ?? 0) + Math.max(1, stack.expected));
  }
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? stacks[0]?.modality ?? '';
}

const weight = (stack: Stack) => (stack.kind === 'document' || stack.kind === 'unknown' ? 2 : /scout|topo|locali[sz]er|surview|定位/i.test(stack.description) ? 1 : 0);

/** Stacks in the order of interest: images before scouts before documents, then as they were made. */
export function byInterest(stacks: readonly Stack[]): Stack[] {
  return [...stacks].sort((a, b) => weight(a) - weight(b) || Number(a.prior) - Number(b.prior) || a.seriesNumber - b.seriesNumber);
}

/** Puts stacks into the panes of a protocol. */
export function hang(protocol: Protocol, stacks: readonly Stack[]): Hung[] {
  const rest = byInterest(stacks);
  const used = new Set<string>();
  return protocol.panes.map((rule) => {
    const free = rest.filter((stack) => rule.again || rule.cut || !used.has(stack.id));
    for (const want of [rule.want, ...(rule.otherwise ?? [])]) {
      const stack = free.find((candidate) => fits(candidate, want));
      if (stack) {
        used.add(stack.id);
        return { stack, rule };
      }
    }
    return { stack: null, rule };
  });
}
