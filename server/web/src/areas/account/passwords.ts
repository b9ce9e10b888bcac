// The rules for a new password as the relay has them, to be seen while typing. The relay decides.

export type Rule = 'length' | 'different' | 'login' | 'common';
const SHORTEST = 12;
const DIFFERENT = 5;

/** Whether every character is the one after (or before) the last: 123456789012, abcdefghijkl. */
function isRun(text: string): boolean {
  const codes = [...text].map((letter) => letter.codePointAt(0) ?? 0);
  const steps = codes.slice(1).map((code, index) => code - (codes[index] ?? 0));
  const along = (wanted: number) => steps.every((step) => step === wanted || step === -9 * wanted);
  return along(1) || along(-1);
}

/** Which rules a password fits. */
export function judged(password: string, login: string): Record<Rule, boolean> {
  const lower = password.toLowerCase();
  const own = login.toLowerCase();
  const rest = own.length >= 4 ? [...lower.replaceAll(own, '')].length : Number.POSITIVE_INFINITY;
  return {
    length: [...password].length >= SHORTEST && [...password].length <= 256,
    different: new Set(lower).size >= DIFFERENT,
    login: own === '' || (lower !== own && rest >= 6),
    common: password !== '' && !isRun(lower),
  };
}

/** Whether a password fits every rule that can be said here. */
export function fits(password: string, login: string): boolean {
  return Object.values(judged(password, login)).every(Boolean);
}
