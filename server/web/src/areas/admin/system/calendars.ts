// A calendar as it is edited: hours of the week, holidays, make-up days. The relay checks it again.

export type Hours = [string, string][];

export interface Kept {
  /** Monday first. */
  week: Hours[];
  holidays: string[];
  workdays: string[];
  offset_minutes: number;
  version: number;
}

export type Mark = 'none' | 'holiday' | 'makeup';
export type Fault = 'time' | 'order';

const TIME = /^([01]\d|2[0-3]):[0-5]\d$|^24:00$/;

/** What is wrong with the hours, if anything is. */
export function faultOf(kept: Kept): Fault | null {
  for (const hours of kept.week) {
    let before = '';
    for (const [from, to] of hours) {
      if (!TIME.test(from) || !TIME.test(to) || to <= from) return 'time';
      if (from < before) return 'order';
      before = to;
    }
  }
  return null;
}

/** Monday's hours on Tuesday to Friday, too. */
export function copyToWorkdays(week: Hours[]): Hours[] {
  const monday = week[0] ?? [];
  return week.map((hours, index) => (index >= 1 && index <= 4 ? monday.map(([from, to]) => [from, to] as [string, string]) : hours));
}

/** What a day is marked as. */
export function markOf(kept: Kept, date: string): Mark {
  if (kept.holidays.includes(date)) return 'holiday';
  return kept.workdays.includes(date) ? 'makeup' : 'none';
}

/** The calendar with a day marked. */
export function marked(kept: Kept, date: string, mark: Mark): Pick<Kept, 'holidays' | 'workdays'> {
  const without = (days: string[]) => days.filter((day) => day !== date);
  const sorted = (days: string[]) => [...days, date].sort();
  return {
    holidays: mark === 'holiday' ? sorted(without(kept.holidays)) : without(kept.holidays),
    workdays: mark === 'makeup' ? sorted(without(kept.workdays)) : without(kept.workdays),
  };
}

/** 0 for Monday to 6 for Sunday. */
export function weekdayOf(date: string): number {
  return (new Date(`${date}T00:00:00Z`).getUTCDay() + 6) % 7;
}

/** Without any hours there is no calendar: everything goes by the clock. */
export function isByTheClock(kept: Kept): boolean {
  return kept.week.every((hours) => hours.length === 0);
}

/** The hours that most hospitals keep, to begin from. */
export function usualWeek(): Hours[] {
  const day = (): Hours => [
    ['08:00', '12:00'],
    ['14:00', '17:30'],
  ];
  return Array.from({ length: 7 }, (_, index) => (index < 5 ? day() : []));
}

/** Whether people work on a day. */
export function isWorked(kept: Kept, date: string): boolean {
  if (isByTheClock(kept)) return true;
  const mark = markOf(kept, date);
  if (mark !== 'none') return mark === 'makeup';
  return (kept.week[weekdayOf(date)]?.length ?? 0) > 0;
}

/** The next mark when a day is clicked: free days become make-up days, others holidays, and back. */
export function nextMark(kept: Kept, date: string): Mark {
  if (markOf(kept, date) !== 'none' || isByTheClock(kept)) return 'none';
  return (kept.week[weekdayOf(date)]?.length ?? 0) > 0 ? 'holiday' : 'makeup';
}
