// Working hours of a centre: the hours of the week, holidays, and days that are worked although the weekday is free.
import { PlusOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Alert, Button, Card, Input, Select, Skeleton, Space } from 'antd';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { asProblem } from '@/api/problem';
import { request } from '@/api/request';
import { PageTitle } from '@/app/PageTitle';
import { plainWords, Trouble } from '@/shared/Trouble';

import { choicesOf, usePlaces } from '../parts/places';
import { copyToWorkdays, faultOf, isByTheClock, marked, usualWeek, type Hours, type Kept, type Mark } from './calendars';
import { Month } from './Month';

const EMPTY_HOURS: [string, string] = ['08:00', '12:00'];

function Day({ name, hours, onChange }: { name: string; hours: Hours; onChange: (hours: Hours) => void }) {
  const { t } = useTranslation(['admin', 'common']);
  const set = (index: number, side: 0 | 1, value: string) => onChange(hours.map((span, at) => (at === index ? ((side === 0 ? [value, span[1]] : [span[0], value]) as [string, string]) : span)));
  return (
    <tr>
      <th scope="row" style={{ textAlign: 'start', verticalAlign: 'top', padding: '6px 12px 6px 0', whiteSpace: 'nowrap' }}>
        {name}
      </th>
      <td style={{ padding: '4px 0' }}>
        <Space wrap>
          {hours.length === 0 && <span className="quiet">{t('admin:calendar.free')}</span>}
          {hours.map((span, index) => (
            <Space.Compact key={index}>
              <Input size="small" value={span[0]} aria-label={t('admin:calendar.from', { day: name })} placeholder="08:00" maxLength={5} style={{ width: 72 }} onChange={(event) => set(index, 0, event.target.value)} />
              <Input size="small" value={span[1]} aria-label={t('admin:calendar.to', { day: name })} placeholder="12:00" maxLength={5} style={{ width: 72 }} onChange={(event) => set(index, 1, event.target.value)} />
              <Button size="small" aria-label={t('admin:calendar.removeHours', { day: name })} onClick={() => onChange(hours.filter((_, at) => at !== index))}>
                ×
              </Button>
            </Space.Compact>
          ))}
          <Button size="small" type="text" icon={<PlusOutlined />} aria-label={t('admin:calendar.addHours', { day: name })} onClick={() => onChange([...hours, hours.length === 0 ? EMPTY_HOURS : ['14:00', '17:30']])} />
        </Space>
      </td>
    </tr>
  );
}

function Editor({ place, kept, onSaved }: { place: string; kept: Kept; onSaved: () => void }) {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const [draft, setDraft] = useState(kept);
  const [busy, setBusy] = useState(false);
  const [saved, setSaved] = useState(false);
  const [fault, setFault] = useState<{ words: string; stale: boolean } | null>(null);
  useEffect(() => setDraft(kept), [kept]);
  const wrong = faultOf(draft);

  function edit(change: Partial<Kept>) {
    setSaved(false);
    setDraft({ ...draft, ...change });
  }

  async function send() {
    setBusy(true);
    setFault(null);
    try {
      await request('PUT', `/api/v1/organizations/${place}/calendar`, draft);
      setSaved(true);
      onSaved();
    } catch (error) {
      const problem = asProblem(error);
      setFault({ words: plainWords(error), stale: problem.code === 'VERSION_CONFLICT' });
    } finally {
      setBusy(false);
    }
  }

  const names = t('admin:calendar.weekdays').split(' ');
  return (
    <>
      <div style={{ display: 'grid', gap: 16, gridTemplateColumns: 'repeat(auto-fit, minmax(min(460px, 100%), 1fr))', alignItems: 'start' }}>
        <Card
          size="small"
          title={t('admin:calendar.week')}
          extra={
            <Button size="small" onClick={() => edit({ week: copyToWorkdays(draft.week) })}>
              {t('admin:calendar.copy')}
            </Button>
          }
        >
          <table>
            <tbody>
              {draft.week.map((hours, index) => (
                <Day key={index} name={names[index] ?? ''} hours={hours} onChange={(next) => edit({ week: draft.week.map((old, at) => (at === index ? next : old)) })} />
              ))}
            </tbody>
          </table>
          {isByTheClock(draft) && (
            <Alert
              type="info"
              showIcon
              title={t('admin:calendar.clock')}
              action={
                <Button size="small" onClick={() => edit({ week: usualWeek() })}>
                  {t('admin:calendar.usual')}
                </Button>
              }
            />
          )}
        </Card>
        <Card size="small" title={t('admin:calendar.days')}>
          <Month kept={draft} onMark={(date: string, mark: Mark) => edit(marked(draft, date, mark))} />
        </Card>
      </div>
      {(wrong ?? fault) && (
        <Alert
          role="alert"
          type="error"
          showIcon
          style={{ marginTop: 12 }}
          title={wrong ? t(`admin:calendar.fault.${wrong}`) : fault?.stale ? t('admin:form.stale') : fault?.words}
          action={fault?.stale ? <Button size="small" onClick={onSaved}>{t('admin:form.reload')}</Button> : undefined}
        />
      )}
      <Space style={{ marginTop: 16 }}>
        <Button type="primary" disabled={wrong !== null} loading={busy} onClick={() => void send()}>
          {t('admin:save')}
        </Button>
        {saved && <span role="status">{t('admin:saved')}</span>}
      </Space>
    </>
  );
}

export function Calendar() {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const { places } = usePlaces();
  const centres = places.filter((place) => !place.closed_at && (place.kind === 'lead_hospital' || place.kind === 'county_hospital'));
  const [picked, setPicked] = useState<string | null>(null);
  const place = picked ?? centres[0]?.id ?? '';
  const kept = useQuery({ queryKey: ['calendar', place], queryFn: () => request<Kept>('GET', `/api/v1/organizations/${place}/calendar`), enabled: place !== '' });
  return (
    <div className="page">
      <PageTitle
        title={t('admin:calendar.title')}
        lead={t('admin:calendar.lead')}
        actions={centres.length > 1 && <Select aria-label={t('admin:column.centre')} value={place} options={choicesOf(centres)} onChange={setPicked} style={{ minWidth: 200 }} />}
      />
      {kept.isError && <Trouble error={kept.error} retry={() => void kept.refetch()} />}
      {kept.isPending && <Skeleton active />}
      {kept.data && <Editor key={place} place={place} kept={kept.data} onSaved={() => void kept.refetch()} />}
    </div>
  );
}
