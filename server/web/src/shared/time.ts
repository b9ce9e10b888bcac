// Times of the relay (integer microseconds, UTC) as people read them: in the machine's own zone, by the relay's clock.
const MINUTE = 60_000_000;
let skew = 0;

/** Learns the relay's clock from the `Date` of an answer, so that a wrong clock on this machine does no harm to what is left. */
export function clockFrom(header: string | null): void {
  const said = header ? Date.parse(header) : Number.NaN;
  if (Number.isNaN(said)) return;
  const off = said + 500 - Date.now();
  // The header has whole seconds: less than that is no difference.
  skew = Math.abs(off) > 2_000 ? off : 0;
}

/** Now by the relay's clock, in microseconds. */
export function now(): number {
  return (Date.now() + skew) * 1_000;
}

const formats = new Intl.DateTimeFormat('en-GB', { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });

/** The parts of a time in the machine's zone. Written the same in both languages: nobody takes a day for a month. */
function parts(at: number): Record<string, string> {
  return Object.fromEntries(formats.formatToParts(at / 1_000).map((part) => [part.type, part.value]));
}

/** 2026-11-22. */
export function day(at: number): string {
  const { year, month, day: date } = parts(at);
  return `${year}-${month}-${date}`;
}

/** 12:03. */
export function clock(at: number): string {
  const { hour, minute } = parts(at);
  return `${hour}:${minute}`;
}

/** 12:03:05. */
export function clockSeconds(at: number): string {
  return `${clock(at)}:${parts(at)['second']}`;
}

/** 2026-11-22 12:03. */
export function moment(at: number): string {
  return `${day(at)} ${clock(at)}`;
}

/** Short for tables: the time today, else month, day and time. */
export function shortMoment(at: number): string {
  if (day(at) === day(now())) return clock(at);
  return `${day(at).slice(5)} ${clock(at)}`;
}

/** A date of a DICOM object (`20261122` or `2026-11-22`) as 2026-11-22; what is no date stays as it is. */
export function dicomDay(date: string | null | undefined): string {
  const found = /^(\d{4})[-.]?(\d{2})[-.]?(\d{2})$/.exec(date ?? '');
  return found ? `${found[1]}-${found[2]}-${found[3]}` : (date ?? '');
}

/** A time of a DICOM object (`142503.1`) as 14:25; what is no time stays as it is. */
export function dicomClock(time: string | null | undefined): string {
  const found = /^(\d{2}):?(\d{2})/.exec(time ?? '');
  return found ? `${found[1]}:${found[2]}` : (time ?? '');
}

/** How old somebody is on a day, in the words that hospitals use: years, months below 3 years, days below 2 months. */
export function age(birth: string | null | undefined, on: string | null | undefined = null): { unit: 'years' | 'months' | 'days'; count: number } | null {
  const born = dicomDay(birth).split('-').map(Number);
  const [year, month, date] = born;
  if (born.length !== 3 || !year || !month || !date) return null;
  const asked = dicomDay(on).split('-').map(Number);
  const today = new Date(now() / 1_000);
  const [toYear, toMonth, toDate] = asked.length === 3 ? asked : [today.getFullYear(), today.getMonth() + 1, today.getDate()];
  if (!toYear || !toMonth || !toDate) return null;
  const months = (toYear - year) * 12 + (toMonth - month) - (toDate < date ? 1 : 0);
  if (months < 0) return null;
  if (months >= 36) return { unit: 'years', count: Math.floor(months / 12) };
  if (months >= 2) return { unit: 'months', count: months };
  const days = Math.round((Date.UTC(toYear, toMonth - 1, toDate) - Date.UTC(year, month - 1, date)) / 86_400_000);
  return { unit: 'days', count: days };
}

/** How much of the time from `from` to `due` is used, as a fraction; 1 and more is overdue. */
export function used(from: number, due: number, at: number): number {
  if (at >= due) return 1;
  return due <= from ? 1 : Math.max(0, (at - from) / (due - from));
}

/** Whole minutes between two times; of what is left, a begun minute does not count as left. */
export function minutes(span: number): number {
  return Math.floor(span / MINUTE);
}
