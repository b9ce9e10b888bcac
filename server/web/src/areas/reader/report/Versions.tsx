// The signed versions of a report, and what differs: between two of them, or between one and what is being written.
import { Select } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { moment } from '@/shared/time';
import { Nothing, Trouble } from '@/shared/Trouble';

import type { ReportLine, Writing } from '../api';
import { useReports } from '../case/useCase';
import { DiffView } from './DiffView';
import { ReportView, useReport } from './ReportView';

const NOW = 'now';

function Compared({ before, after, writing }: { before: string; after: string; writing: Writing | null }) {
  const first = useReport(before === NOW ? undefined : before).data;
  const second = useReport(after === NOW ? undefined : after).data;
  const from = before === NOW ? writing : first?.text;
  const to = after === NOW ? writing : second?.text;
  return from && to ? <DiffView before={from} after={to} /> : null;
}

export function Versions({ id, writing }: { id: string; writing: Writing | null }) {
  const { t } = useTranslation('reader');
  const { data, error, refetch } = useReports(id);
  const [chosen, setChosen] = useState<{ before?: string; after?: string }>({});
  if (error) return <Trouble error={error} retry={() => void refetch()} />;
  const reports = data ?? [];
  if (data && reports.length === 0) return <Nothing text={t('reader:versions.none')} />;
  const name = (report: ReportLine) => `${report.number} · ${t(`reader:kind.${report.kind}`)} · ${moment(report.signed_at)}`;
  const options = [...reports.map((report) => ({ value: report.id, label: name(report) })), ...(writing ? [{ value: NOW, label: t('reader:versions.now') }] : [])];
  const after = chosen.after ?? options.at(-1)?.value;
  const before = chosen.before ?? options.at(-2)?.value;
  return (
    <div>
      {options.length > 1 && before && after && (
        <section aria-label={t('reader:versions.compare')}>
          <h3>{t('reader:versions.compare')}</h3>
          <Select size="small" style={{ width: '48%' }} value={before} options={options} aria-label={t('reader:versions.before')} onChange={(value) => setChosen({ ...chosen, before: value })} />{' '}
          <Select size="small" style={{ width: '48%' }} value={after} options={options} aria-label={t('reader:versions.after')} onChange={(value) => setChosen({ ...chosen, after: value })} />
          <Compared before={before} after={after} writing={writing} />
        </section>
      )}
      <ul className="case-list">
        {reports.toReversed().map((report) => (
          <li key={report.id}>
            <strong>{name(report)}</strong>
            <ReportView id={report.id} />
          </li>
        ))}
      </ul>
    </div>
  );
}
