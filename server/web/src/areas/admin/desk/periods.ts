// The periods that people ask statistics for, in the machine's own days.

export const PERIODS = ['today', 'yesterday', 'week', 'month', 'lastMonth', 'quarter'] as const;
export type Period = (typeof PERIODS)[number];

/** Microseconds of the first instant and of the first one after. */
export interface Span {
  from: number;
  to: number;
}

function micros(day: Date): number {
  return day.getTime() * 1_000;
}

/** The local midnight `days` after that of `at`. */
function midnight(at: Date, days = 0): Date {
  return new Date(at.getFullYear(), at.getMonth(), at.getDate() + days);
}

/** What a name means at a time. Weeks begin on Monday. */
export function spanOf(period: Period, at: Date): Span {
  const tomorrow = micros(midnight(at, 1));
  const month = (shift: number) => new Date(at.getFullYear(), at.getMonth() + shift, 1);
  switch (period) {
    case 'today':
      return { from: micros(midnight(at)), to: tomorrow };
    case 'yesterday':
      return { from: micros(midnight(at, -1)), to: micros(midnight(at)) };
    case 'week':
      return { from: micros(midnight(at, -((at.getDay() + 6) % 7))), to: tomorrow };
    case 'month':
      return { from: micros(month(0)), to: tomorrow };
    case 'lastMonth':
      return { from: micros(month(-1)), to: micros(month(0)) };
    case 'quarter':
      return { from: micros(new Date(at.getFullYear(), Math.floor(at.getMonth() / 3) * 3, 1)), to: tomorrow };
  }
}

/** A span from two dates as a date field gives them (`2026-11-22`), both days included. */
export function spanBetween(first: string, last: string): Span | null {
  const day = (text: string, more: number) => {
    const [year, month, date] = text.split('-').map(Number);
    return year && month && date ? micros(new Date(year, month - 1, date + more)) : Number.NaN;
  };
  const span = { from: day(first, 0), to: day(last, 1) };
  return Number.isNaN(span.from) || Number.isNaN(span.to) || span.to <= span.from ? null : span;
}

/** A day as a date field takes it. */
export function dateField(micro: number): string {
  const at = new Date(micro / 1_000);
  const two = (count: number) => String(count).padStart(2, '0');
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

/** Every day of a span up to now, 92 at most, as the relay names them. */
export function daysOf(span: Span, at: number): string[] {
  const days: string[] = [];
  const end = Math.min(span.to, at + 1);
  for (let day = new Date(span.from / 1_000); micros(day) < end && days.length < 92; day = midnight(day, 1)) days.push(dateField(micros(day)));
  return days;
}
