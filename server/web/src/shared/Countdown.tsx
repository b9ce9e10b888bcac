// Minutes left until a case is due: amber when half of its time is used, red from four fifths, then by how much it is over. Never flashes.
import { useTranslation } from 'react-i18next';

import { Mark, type MarkName } from './marks';
import { minutes, moment, now, used } from './time';
import { useTicking } from './ticking';

import './shared.css';

export type Level = 'calm' | 'half' | 'late' | 'over';

/** How pressing it is. */
export function levelOf(from: number, due: number, at: number): Level {
  const part = used(from, due, at);
  if (part >= 1) return 'over';
  if (part >= 0.8) return 'late';
  return part >= 0.5 ? 'half' : 'calm';
}

/** Whole days, hours and minutes of a number of minutes, two parts at most. */
export function partsOf(count: number): { days: number; hours: number; minutes: number } {
  const days = Math.floor(count / 1_440);
  const hours = Math.floor((count % 1_440) / 60);
  return { days, hours, minutes: days > 0 ? 0 : count % 60 };
}

const MARKS: Record<Level, MarkName> = { calm: 'clock', half: 'clock', late: 'late', over: 'warning' };

/** `from` is when the time began, `due` when it ends. A case that is done (`stopped`) shows a dash. */
export function Countdown({ from, due, stopped = false }: { from: number; due: number; stopped?: boolean }) {
  const { t } = useTranslation('shared');
  const state = useTicking(() => {
    const at = now();
    return `${levelOf(from, due, at)} ${at >= due ? minutes(at - due) : minutes(due - at)}`;
  });
  if (stopped) return <span className="countdown">–</span>;
  const [level, count] = state.split(' ') as [Level, string];
  const parts = partsOf(Number(count));
  const kind = parts.days > 0 ? 'days' : parts.hours > 0 ? 'hours' : 'minutes';
  const span = t(`shared:span.${kind}`, parts);
  return (
    <span className={`countdown countdown-${level}`} title={t('shared:countdown.due', { at: moment(due) })}>
      <Mark name={MARKS[level]} /> {level === 'over' ? t('shared:countdown.over', { span }) : t('shared:countdown.left', { span })}
    </span>
  );
}
