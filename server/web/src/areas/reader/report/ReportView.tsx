// A signed report, to be read.
import { FilePdfOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Skeleton } from 'antd';
import { useTranslation } from 'react-i18next';

import { moment } from '@/shared/time';
import { Trouble } from '@/shared/Trouble';

import { pdfOf, readReport, type Report } from '../api';
import type { Section } from './phrases';

export const SECTIONS: readonly Section[] = ['findings', 'impression', 'recommendation'];

export function useReport(id: string | undefined) {
  return useQuery({ queryKey: ['report', id], queryFn: () => readReport(id as string), enabled: id !== undefined, staleTime: 3_600_000 });
}

/** Who signed it and when. */
export function Signed({ report }: { report: Pick<Report, 'reporter' | 'verifier' | 'signed_at' | 'report_number'> }) {
  const { t } = useTranslation('reader');
  return (
    <div className="quiet">
      {report.report_number} · {t('reader:report.by', { name: report.reporter.name })}
      {report.verifier && ` · ${t('reader:report.verified', { name: report.verifier.name })}`} · {moment(report.signed_at)}
    </div>
  );
}

export function ReportView({ id }: { id: string }) {
  const { t } = useTranslation('reader');
  const { data, error, refetch } = useReport(id);
  if (error) return <Trouble error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton active paragraph={{ rows: 4 }} />;
  return (
    <article aria-label={data.report_number}>
      <Signed report={data} />
      {data.reason && (
        <p className="case-words">
          <strong>{t('reader:addendum.reason')}</strong> {data.reason}
        </p>
      )}
      {SECTIONS.filter((section) => data.text[section] !== '').map((section) => (
        <div key={section}>
          <strong>{t(`reader:section.${section}`)}</strong>
          <p className="case-words">{data.text[section]}</p>
        </div>
      ))}
      <a href={pdfOf(id)} target="_blank" rel="noopener noreferrer">
        <FilePdfOutlined aria-hidden /> {t('reader:report.pdf')}
      </a>
    </article>
  );
}
