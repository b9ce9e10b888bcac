// Chinese text of DICOM data sets, whatever character set is declared: decoded before it is taken apart, because trail bytes of
// GB18030 collide with `\`, `^` and `=` (PS3.5 6.1.2.5). Nothing here fails: what cannot be read becomes U+FFFD.

const ESC = 0x1b;

type Plan = { kind: 'utf8' } | { kind: 'latin1' } | { kind: 'single'; label: string } | { kind: 'iso2022'; korean: boolean };

/** Labels of the encoding standard for the defined terms of PS3.3 C.12.1.1.2, without extensions. */
const SINGLE: Record<string, string> = {
  'ISO_IR 101': 'iso-8859-2',
  'ISO_IR 109': 'iso-8859-3',
  'ISO_IR 110': 'iso-8859-4',
  'ISO_IR 144': 'iso-8859-5',
  'ISO_IR 127': 'iso-8859-6',
  'ISO_IR 126': 'iso-8859-7',
  'ISO_IR 138': 'iso-8859-8',
  'ISO_IR 148': 'windows-1254',
  'ISO_IR 203': 'iso-8859-15',
  'ISO_IR 13': 'shift_jis',
  'ISO_IR 166': 'windows-874',
  GB18030: 'gb18030',
  GBK: 'gb18030',
};

const decoders = new Map<string, TextDecoder>();

function decoder(label: string, fatal: boolean): TextDecoder {
  const key = `${label}${fatal ? '!' : ''}`;
  let made = decoders.get(key);
  if (!made) {
    made = new TextDecoder(label, { fatal, ignoreBOM: true });
    decoders.set(key, made);
  }
  return made;
}

function fits(label: string, samples: Uint8Array[]): boolean {
  try {
    for (const sample of samples) decoder(label, true).decode(sample);
    return true;
  } catch {
    return false;
  }
}

function ascii(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte >= 0x80 || byte === ESC) return false;
  return true;
}

/** Decodes the text of one data set: the declaration is judged by all values together. */
export class Texts {
  private readonly plan: Plan;
  /** Whether what was declared does not fit, so that the reading is a guess. */
  readonly guessed: boolean;

  constructor(declared: string, samples: Uint8Array[]) {
    const foreign = samples.filter((sample) => !ascii(sample));
    const named = planFor(declared);
    const fitting = named !== null && suits(named, foreign);
    this.plan = fitting ? named : guess(foreign);
    this.guessed = !fitting && foreign.length > 0;
  }

  /** One value, padding and delimiters included. */
  decode(raw: Uint8Array): string {
    if (ascii(raw)) return String.fromCharCode(...raw);
    switch (this.plan.kind) {
      case 'utf8':
        return decoder('utf-8', false).decode(raw);
      case 'latin1':
        return String.fromCharCode(...raw);
      case 'single':
        return decoder(this.plan.label, false).decode(raw);
      case 'iso2022':
        return decodeEscapes(raw, this.plan.korean);
    }
  }
}

function planFor(declared: string): Plan | null {
  const terms = declared.split('\\').map((term) => term.trim());
  if (terms.length === 1) {
    const term = terms[0] ?? '';
    if (term === 'ISO_IR 192') return { kind: 'utf8' };
    if (term === 'ISO_IR 100') return { kind: 'latin1' };
    const label = SINGLE[term];
    if (label) return { kind: 'single', label };
    if (term === '' || term === 'ISO_IR 6') return null;
  }
  if (terms.some((term) => term.startsWith('ISO 2022 '))) return { kind: 'iso2022', korean: terms.includes('ISO 2022 IR 149') };
  const label = terms.map((term) => SINGLE[term]).find((known) => known !== undefined);
  return label ? { kind: 'single', label } : null;
}

/** Whether the values can be what was declared. Wrong declarations are the rule in the field, not the exception. */
function suits(plan: Plan, foreign: Uint8Array[]): boolean {
  if (foreign.length === 0) return true;
  switch (plan.kind) {
    case 'utf8':
      return fits('utf-8', foreign);
    case 'latin1':
      // C1 controls are not text; bytes in pairs that are good GBK letters are Chinese with a wrong label.
      return !foreign.some((sample) => sample.some((byte) => byte >= 0x80 && byte < 0xa0)) && !isChinese(foreign);
    case 'single':
      return fits(plan.label, foreign) && !(plan.label === 'gb18030' && isUtf8Chinese(foreign));
    case 'iso2022':
      return true;
  }
}

function guess(foreign: Uint8Array[]): Plan {
  if (foreign.some((sample) => sample.includes(ESC))) return { kind: 'iso2022', korean: false };
  if (fits('utf-8', foreign)) return { kind: 'utf8' };
  if (fits('gb18030', foreign)) return { kind: 'single', label: 'gb18030' };
  const lost = (label: string) => foreign.reduce((sum, raw) => sum + (decoder(label, false).decode(raw).match(/\uFFFD/g)?.length ?? 0), 0);
  return lost('utf-8') <= lost('gb18030') ? { kind: 'utf8' } : { kind: 'single', label: 'gb18030' };
}

function isUtf8Chinese(foreign: Uint8Array[]): boolean {
  if (!fits('utf-8', foreign)) return false;
  return foreign.every((sample) => [...decoder('utf-8', true).decode(sample)].every((letter) => letter < '\x80' || letter >= '\u2e80'));
}

/** Whether all of it reads as Chinese characters in GB 2312's usual rows: two high bytes for a letter, none alone. */
function isChinese(foreign: Uint8Array[]): boolean {
  if (!fits('gb18030', foreign)) return false;
  return foreign.every((sample) => {
    for (let at = 0; at < sample.length; at += 1) {
      if (sample[at]! < 0x80) continue;
      const [high, low] = [sample[at]!, sample[at + 1] ?? 0];
      if (high < 0xb0 || high > 0xf7 || low < 0xa1) return false;
      at += 1;
    }
    return true;
  });
}

/** Escapes of ISO 2022 as Chinese, Japanese and Korean devices write them (PS3.5 6.1.2.4). */
function decodeEscapes(raw: Uint8Array, korean: boolean): string {
  let [text, from, two] = ['', 0, ''];
  let high = korean ? 'euc-kr' : 'gb18030';
  const flush = (end: number) => {
    const run = raw.subarray(from, end);
    if (two) text += decoder('euc-jp', false).decode(Uint8Array.from([...run].flatMap((byte, at) => (two === 'x' && at % 2 === 0 ? [0x8f, byte | 0x80] : [byte | 0x80]))));
    else text += decoder(high, false).decode(run);
  };
  const known: [string, () => void][] = [
    ['(B', () => (two = '')],
    ['(J', () => (two = '')],
    ['$)A', () => (high = 'gb18030')],
    ['$)C', () => (high = 'euc-kr')],
    ['$B', () => (two = 'j')],
    ['$@', () => (two = 'j')],
    ['$(D', () => (two = 'x')],
    [')I', () => (high = 'shift_jis')],
    ['-A', () => (high = 'windows-1252')],
    ['-L', () => (high = 'iso-8859-5')],
  ];
  for (let at = 0; at < raw.length; at += 1) {
    if (raw[at] !== ESC) continue;
    flush(at);
    const rest = String.fromCharCode(...raw.subarray(at + 1, at + 4));
    const found = known.find(([sequence]) => rest.startsWith(sequence));
    found?.[1]();
    at += found?.[0].length ?? 0;
    from = at + 1;
  }
  flush(raw.length);
  return text;
}
