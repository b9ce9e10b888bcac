// The signed versions of a case: newest first, acknowledged, printed or kept as a file from here.
import { CheckOutlined, DownloadOutlined, PrinterOutlined } from '@ant-design/icons';
import { useQueryClient } from '@tanstack/react-query';
import { Alert, Button, Card, Empty, Flex, Skeleton } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api, ok, type Schemas } from '@/api/client';
import { moment } from '@/shared/time';
import { Trouble } from '@/shared/Trouble';

import { type CaseDetail, useInboxOf, useReports } from './data';

type Report = Schemas['ShownReport'];

export function Reports({ detail }: { detail: CaseDetail }) {
  const { t } = useTranslation('clinic');
  const { id } = detail.case;
  const reports = useReports(id);
  const inbox = useInboxOf(id);
  if (reports.error) return <Trouble error={reports.error} retry={() => void reports.refetch()} />;
  if (!reports.data) return <Skeleton active />;
  if (reports.data.length === 0) return <Empty description={t('clinic:report.none')} />;
  return (
    <Flex vertical gap="middle">
      {reports.data.map((report, at) => (
        <Version
          key={report.id}
          report={report}
          place={placeOf(report, detail)}
          newest={at === 0}
          delivery={inbox.data?.find((delivery) => delivery.report === report.id) ?? null}
        />
      ))}
    </Flex>
  );
}

/** Where the report was signed: by name, where the case names that place. */
function placeOf(report: Report, detail: CaseDetail): string {
  const signer = report.verifier ?? report.reporter;
  return signer.organization === detail.case.clinic ? detail.clinic_name : detail.centre_name;
}

interface VersionProps {
  report: Report;
  place: string;
  newest: boolean;
  delivery: Schemas['ShownDelivery'] | null;
}

function Version({ report, place, newest, delivery }: VersionProps) {
  const { t } = useTranslation('clinic');
  const { findings, impression, recommendation } = report.text;
  const parts = [
    ['impression', impression],
    ['findings', findings],
    ['recommendation', recommendation],
  ] as const;
  return (
    <Card
      size="small"
      title={
        <>
          {t(`clinic:kind.${report.kind}`)} <span className="quiet">{report.report_number}</span>
        </>
      }
      extra={newest ? null : <span className="quiet">{t('clinic:report.earlier')}</span>}
    >
      {report.kind === 'preliminary' && <Alert type="info" showIcon title={t('clinic:report.preliminary')} style={{ marginBottom: 8 }} />}
      {report.reason && <p>{t('clinic:report.reason', { reason: report.reason })}</p>}
      {parts.map(
        ([name, text]) =>
          text !== '' && (
            <section key={name}>
              <h3>{t(`clinic:report.${name}`)}</h3>
              <p className="clinic-report-text">{text}</p>
            </section>
          ),
      )}
      <p className="quiet">
        {t('clinic:report.signed', { name: (report.verifier ?? report.reporter).name, place, at: moment(report.signed_at) })}
      </p>
      <Flex gap="small" wrap>
        {delivery && <Acknowledge delivery={delivery} />}
        <Button icon={<PrinterOutlined />} href={`/api/v1/reports/${report.id}/pdf`} target="_blank" rel="noopener">
          {t('clinic:report.print')}
        </Button>
        <Button icon={<DownloadOutlined />} href={`/api/v1/reports/${report.id}/pdf`} download={`${report.report_number}.pdf`}>
          {t('clinic:report.download')}
        </Button>
      </Flex>
    </Card>
  );
}

function Acknowledge({ delivery }: { delivery: Schemas['ShownDelivery'] }) {
  const { t } = useTranslation('clinic');
  const cache = useQueryClient();
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<unknown>(null);
  if (delivery.stage === 'acknowledged') {
    return (
      <Button disabled icon={<CheckOutlined />}>
        {t('clinic:reports.acknowledged')}
      </Button>
    );
  }
  async function send() {
    setBusy(true);
    setFault(null);
    try {
      await ok(api.POST('/api/v1/deliveries/{id}/acknowledge', { params: { path: { id: delivery.id } } }));
      await cache.invalidateQueries({ queryKey: ['clinic'] });
    } catch (error) {
      setFault(error);
    } finally {
      setBusy(false);
    }
  }
  return (
    <>
      <Button type="primary" icon={<CheckOutlined />} loading={busy} onClick={() => void send()}>
        {t('clinic:report.acknowledge')}
      </Button>
      {fault !== null && <Trouble error={fault} />}
    </>
  );
}
