// What is looked at before a report is signed. A warning asks; it never decides.
import type { Section } from './phrases';

export type Written = Record<Section, string>;

export type Warning =
  | { kind: 'empty'; section: 'findings' | 'impression' }
  | { kind: 'side'; section: Section; found: 'left' | 'right'; asked: 'left' | 'right' }
  | { kind: 'sidesDiffer'; findings: 'left' | 'right'; impression: 'left' | 'right' }
  | { kind: 'sex'; section: Section; word: string; sex: 'M' | 'F' }
  | { kind: 'placeholder'; section: Section; word: string }
  | { kind: 'shortcut'; section: Section; word: string };

export interface About {
  /** DICOM sex of the patient. */
  sex: string | null;
  /** Body part, description of the study and the question: what was asked for. */
  asked: string;
}

type Side = 'left' | 'right';

// Words that only hold these characters by chance (左右: about; 右利手, …) are taken out first.
const NO_SIDE = /左右(?!侧|两|肺|肾|肢)|左右手|右利手|左利手/g;
const BOTH = /双侧|两侧|双肺|双肾|双下肢|双上肢|双膝|双髋|双肩|左右|bilateral|both/i;
const LEFT = /左|\b(?:left|lt)\b/i;
const RIGHT = /右|\b(?:right|rt)\b/i;

/** The side that a text speaks of; `null` when it names none or both. */
export function sideOf(text: string): Side | null {
  if (BOTH.test(text)) return null;
  const plain = text.replace(NO_SIDE, '');
  const left = LEFT.test(plain);
  const right = RIGHT.test(plain);
  if (left === right) return null;
  return left ? 'left' : 'right';
}

const FEMALE = ['子宫', '宫颈', '宫腔', '卵巢', '输卵管', '阴道', '附件区', 'uterus', 'uterine', 'ovary', 'ovarian', 'cervix uteri', 'vagina'];
const MALE = ['前列腺', '睾丸', '附睾', '精囊', '阴茎', '阴囊', 'prostate', 'prostatic', 'testis', 'testicular', 'seminal vesicle', 'scrotum'];

/** The first word that does not go with the sex. */
function wrongWord(text: string, sex: 'M' | 'F'): string | null {
  const lower = text.toLowerCase();
  return (sex === 'M' ? FEMALE : MALE).find((word) => lower.includes(word)) ?? null;
}

// Places that a template leaves open: ___, ＿＿, 【】, [ ], ××, {…}.
const OPEN = /_{2,}|＿{2,}|【\s*】|\[\s*\]|×{2,}|\{[^{}\n]{0,20}\}/;
const SHORTCUT = /#[\p{L}\p{N}_-]{1,32}/u;

const SECTIONS: readonly Section[] = ['findings', 'impression', 'recommendation'];

/** Everything that a second look is asked for, the gravest first. */
export function warningsOf(text: Written, about: About): Warning[] {
  const all: Warning[] = [];
  if (text.impression.trim() === '') all.push({ kind: 'empty', section: 'impression' });
  if (text.findings.trim() === '') all.push({ kind: 'empty', section: 'findings' });
  const asked = sideOf(about.asked);
  const sides = { findings: sideOf(text.findings), impression: sideOf(text.impression) };
  for (const section of ['findings', 'impression'] as const) {
    const found = sides[section];
    if (asked && found && found !== asked) all.push({ kind: 'side', section, found, asked });
  }
  if (sides.findings && sides.impression && sides.findings !== sides.impression) {
    all.push({ kind: 'sidesDiffer', findings: sides.findings, impression: sides.impression });
  }
  for (const section of SECTIONS) {
    if (about.sex === 'M' || about.sex === 'F') {
      const word = wrongWord(text[section], about.sex);
      if (word) all.push({ kind: 'sex', section, word, sex: about.sex });
    }
    const open = OPEN.exec(text[section]);
    if (open) all.push({ kind: 'placeholder', section, word: open[0] });
    const shortcut = SHORTCUT.exec(text[section]);
    if (shortcut) all.push({ kind: 'shortcut', section, word: shortcut[0] });
  }
  return all;
}
