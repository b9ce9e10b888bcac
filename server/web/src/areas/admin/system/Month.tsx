// A month of a calendar: a click marks a working day as a holiday and a free day as one that is worked.
import { LeftOutlined, RightOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { dateField } from '../desk/periods';
import { now } from '@/shared/time';

import { isByTheClock, isWorked, markOf, nextMark, weekdayOf, type Kept, type Mark } from './calendars';

function two(count: number): string {
  return String(count).padStart(2, '0');
}

export function Month({ kept, onMark }: { kept: Kept; onMark: (date: string, mark: Mark) => void }) {
  const { t, i18n } = useTranslation(['admin', 'common']);
  const today = dateField(now());
  const [shown, setShown] = useState(() => ({ year: Number(today.slice(0, 4)), month: Number(today.slice(5, 7)) }));
  const length = new Date(Date.UTC(shown.year, shown.month, 0)).getUTCDate();
  const dates = Array.from({ length }, (_, index) => `${shown.year}-${two(shown.month)}-${two(index + 1)}`);
  const before = weekdayOf(dates[0] ?? today);
  const title = new Intl.DateTimeFormat(i18n.language === 'en' ? 'en-GB' : 'zh-CN', { year: 'numeric', month: 'long', timeZone: 'UTC' }).format(Date.UTC(shown.year, shown.month - 1, 1));
  const move = (by: number) => {
    const at = new Date(Date.UTC(shown.year, shown.month - 1 + by, 1));
    setShown({ year: at.getUTCFullYear(), month: at.getUTCMonth() + 1 });
  };
  const classOf = (date: string) => {
    const mark = markOf(kept, date);
    const kind = mark === 'holiday' ? 'day-holiday' : mark === 'makeup' ? 'day-makeup' : isWorked(kept, date) ? '' : 'day-off';
    return date === today ? `${kind} day-today` : kind;
  };
  const wordOf = (date: string) => {
    const mark = markOf(kept, date);
    if (mark !== 'none') return t(`admin:calendar.mark.${mark}`);
    return isWorked(kept, date) ? '' : t('admin:calendar.mark.off');
  };
  return (
    <>
      <div style={{ display: 'flex', gap: 8, alignItems: 'center', marginBottom: 8 }}>
        <Button size="small" icon={<LeftOutlined />} aria-label={t('admin:calendar.before')} onClick={() => move(-1)} />
        <strong aria-live="polite">{title}</strong>
        <Button size="small" icon={<RightOutlined />} aria-label={t('admin:calendar.after')} onClick={() => move(1)} />
      </div>
      <div className="month">
        {t('admin:calendar.weekdaysShort')
          .split(' ')
          .map((name) => (
            <b key={name}>{name}</b>
          ))}
        {Array.from({ length: before }, (_, index) => (
          <span key={`before ${index}`} />
        ))}
        {dates.map((date) => (
          <button key={date} type="button" className={classOf(date)} aria-pressed={markOf(kept, date) !== 'none'} disabled={isByTheClock(kept) && markOf(kept, date) === 'none'} onClick={() => onMark(date, nextMark(kept, date))}>
            <span className="visually-hidden">{date.slice(0, 8)}</span>
            {Number(date.slice(8))}
            <small>{wordOf(date)}</small>
          </button>
        ))}
      </div>
      <p className="quiet">{t(isByTheClock(kept) ? 'admin:calendar.clock' : 'admin:calendar.click')}</p>
    </>
  );
}
