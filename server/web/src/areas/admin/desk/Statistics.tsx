// Statistics of a period: by day, clinic, reader or modality, as numbers, as pictures and as a table for a spreadsheet.
import { DownloadOutlined } from '@ant-design/icons';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Button, Card, Input, Segmented, Select, Skeleton, Space } from 'antd';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { PageTitle } from '@/app/PageTitle';
import { request } from '@/api/request';
import { day, now } from '@/shared/time';
import { Nothing, Trouble } from '@/shared/Trouble';

import { Bars, Lines } from '../parts/Charts';
import { csv, save } from '../parts/csv';
import { DataTable, type Column } from '../parts/DataTable';
import { dateField, daysOf, PERIODS, spanBetween, spanOf, type Period } from './periods';

interface Row {
  key: string;
  label: string;
  cases: number;
  stat: number;
  urgent: number;
  returned: number;
  critical: number;
  signed: number;
  overdue: number;
  median_minutes: number | null;
  p90_minutes: number | null;
  instances: number;
  bytes: number;
}

interface Answer {
  rows: Row[];
  total: Row;
}

const NO_CASES: Row = { key: '', label: '', cases: 0, stat: 0, urgent: 0, returned: 0, critical: 0, signed: 0, overdue: 0, median_minutes: null, p90_minutes: null, instances: 0, bytes: 0 };
const WAYS = ['day', 'clinic', 'reader', 'modality'] as const;
type Way = (typeof WAYS)[number];
const NUMBERS = ['cases', 'stat', 'urgent', 'signed', 'overdue', 'returned', 'critical', 'median_minutes', 'p90_minutes', 'instances'] as const;

function share(part: number, whole: number): string {
  return whole > 0 ? `${(100 - (100 * part) / whole).toFixed(1)} %` : '–';
}

export function Statistics() {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const [period, setPeriod] = useState<Period | 'own'>('month');
  const [first, setFirst] = useState(() => dateField(now()));
  const [last, setLast] = useState(() => dateField(now()));
  const [by, setBy] = useState<Way>('day');
  const span = useMemo(() => (period === 'own' ? spanBetween(first, last) : spanOf(period, new Date(now() / 1_000))), [period, first, last]);
  const answer = useQuery({
    queryKey: ['statistics', span, by],
    queryFn: () => request<Answer>('GET', '/api/v1/statistics', undefined, { query: { from: span?.from, to: span?.to, by } }),
    enabled: span !== null,
    placeholderData: keepPreviousData,
    staleTime: 60_000,
  });
  const rows = answer.data?.rows ?? [];
  const total = answer.data?.total;
  const labelOf = (row: Row) => row.label || row.key || t('admin:statistics.nobody');

  // Days without a case have no row: a picture over time needs them.
  const drawn = by === 'day' && span ? daysOf(span, now()).map((key) => rows.find((row) => row.key === key) ?? { ...NO_CASES, key, label: key }) : rows;
  const nameOf = (row: Row) => (by === 'day' ? labelOf(row).slice(5) : labelOf(row));

  function exported() {
    if (!total) return;
    const heads = [t(`admin:statistics.by.${by}`), ...NUMBERS.map((name) => t(`admin:statistics.number.${name}`)), t('admin:statistics.number.bytes')];
    const line = (row: Row, label: string) => [label, ...NUMBERS.map((name) => row[name]), row.bytes];
    const table = [heads, ...rows.map((row) => line(row, labelOf(row))), line(total, t('admin:statistics.total'))];
    save(`medrelay-${by}-${span ? dateField(span.from) : ''}.csv`, csv(table));
  }

  const columns: Column<Row>[] = [
    { key: 'label', title: t(`admin:statistics.by.${by}`), main: true, render: labelOf },
    ...NUMBERS.map((name) => ({ key: name, title: t(`admin:statistics.number.${name}`), align: 'end' as const, render: (row: Row) => row[name] ?? '–' })),
    { key: 'gigabytes', title: t('admin:statistics.number.gigabytes'), align: 'end', render: (row) => (row.bytes / 1e9).toFixed(2) },
  ];
  const tiles = total && [
    { name: 'cases', value: String(total.cases) },
    { name: 'signed', value: String(total.signed) },
    { name: 'inTime', value: share(total.overdue, total.signed) },
    { name: 'median_minutes', value: total.median_minutes === null ? '–' : String(total.median_minutes) },
    { name: 'p90_minutes', value: total.p90_minutes === null ? '–' : String(total.p90_minutes) },
    { name: 'returned', value: String(total.returned) },
    { name: 'critical', value: String(total.critical) },
  ];
  const minutes = (name: 'median_minutes' | 'p90_minutes') => ({ name: t(`admin:statistics.number.${name}`), values: drawn.map((row) => row[name]) });
  return (
    <div className="page">
      <PageTitle
        title={t('admin:statistics.title')}
        lead={span ? t('admin:statistics.span', { from: day(span.from), to: day(span.to - 1) }) : t('admin:statistics.badSpan')}
        actions={
          <Button icon={<DownloadOutlined />} disabled={!total} onClick={exported}>
            {t('admin:statistics.export')}
          </Button>
        }
      />
      <Space wrap style={{ marginBottom: 16 }}>
        <Select<Period | 'own'> aria-label={t('admin:statistics.period')} value={period} onChange={setPeriod} style={{ minWidth: 130 }} options={[...PERIODS, 'own' as const].map((name) => ({ value: name, label: t(`admin:statistics.periods.${name}`) }))} />
        {period === 'own' && (
          <>
            <Input type="date" aria-label={t('admin:statistics.first')} value={first} max={last} onChange={(event) => setFirst(event.target.value)} />
            <Input type="date" aria-label={t('admin:statistics.last')} value={last} min={first} onChange={(event) => setLast(event.target.value)} />
          </>
        )}
        <Segmented<Way> value={by} onChange={setBy} options={WAYS.map((way) => ({ value: way, label: t(`admin:statistics.by.${way}`) }))} />
      </Space>
      {answer.isError && <Trouble error={answer.error} retry={() => void answer.refetch()} />}
      {answer.isPending && span && <Skeleton active />}
      {tiles && (
        <div className="tiles">
          {tiles.map((tile) => (
            <div key={tile.name} className="tile">
              <b>{tile.value}</b>
              {t(`admin:statistics.number.${tile.name}`)}
            </div>
          ))}
        </div>
      )}
      {rows.length > 0 && (
        <div style={{ display: 'grid', gap: 16, gridTemplateColumns: 'repeat(auto-fit, minmax(min(420px, 100%), 1fr))', marginBottom: 16 }}>
          <Card size="small" title={t('admin:statistics.number.cases')}>
            <Bars atEnd={by === 'day'} title={t('admin:statistics.number.cases')} unit="" bars={drawn.map((row) => ({ label: nameOf(row), value: row.cases }))} />
          </Card>
          <Card size="small" title={t('admin:statistics.turnaround')}>
            <Lines atEnd={by === 'day'} title={t('admin:statistics.turnaround')} unit={t('admin:statistics.minutes')} labels={drawn.map(nameOf)} courses={[minutes('median_minutes'), minutes('p90_minutes')]} />
          </Card>
        </div>
      )}
      {answer.data && <DataTable label={t('admin:statistics.title')} columns={columns} list={{ items: rows, loading: false, error: null, again: () => void answer.refetch() }} rowKey={(row) => row.key || 'nobody'} empty={<Nothing text={t('admin:statistics.none')} />} />}
    </div>
  );
}
