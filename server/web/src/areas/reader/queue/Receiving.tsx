// Studies that are still arriving: how far each of them is, live.
import { useQuery } from '@tanstack/react-query';
import { Table } from 'antd';
import { useCallback, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useArrivals, useHappened, type Arriving } from '@/app/live';
import { queries } from '@/app/queries';
import { PatientName, SexAge } from '@/shared/PatientName';
import { ArrivingRing, StageTag } from '@/shared/StageTag';
import { now, shortMoment } from '@/shared/time';
import { Trouble } from '@/shared/Trouble';

import { arrivingStudies, type Study } from '../api';

const KEY = ['studies', 'arriving'];
const STILL = 10 * 60_000_000;
const KINDS = ['study_arriving', 'study_complete', 'study_committed'];

export function Receiving() {
  const { t } = useTranslation('reader');
  const [live, setLive] = useState<Record<string, Arriving>>({});
  const { data, error, isPending, refetch } = useQuery({ queryKey: KEY, queryFn: arrivingStudies, refetchInterval: 30_000 });
  useArrivals(useCallback((progress: Arriving) => setLive((before) => ({ ...before, [progress.study]: progress })), []));
  useHappened(
    KINDS,
    useCallback(() => void queries.invalidateQueries({ queryKey: KEY }), []),
  );
  if (error) return <Trouble error={error} retry={() => void refetch()} />;
  return (
    <div className="receiving-list">
      <Table<Study>
        size="small"
        rowKey="id"
        loading={isPending}
        pagination={false}
        scroll={{ x: 720 }}
        dataSource={data ?? []}
        locale={{ emptyText: t('reader:receiving.none') }}
        columns={[
          {
            title: t('reader:column.stage'),
            // Nothing has come for ten minutes, and it is not whole: something is the matter at the clinic.
            render: (_, study) => <StageTag stage={study.last_at < now() - STILL ? 'incomplete' : 'receiving'} />,
          },
          {
            title: t('reader:column.images'),
            render: (_, study) => <ArrivingRing arrived={live[study.id]?.instances ?? study.instances} expected={live[study.id]?.expected ?? study.expected ?? null} />,
          },
          { title: t('reader:column.name'), render: (_, study) => <PatientName name={study.patient_name || study.patient} /> },
          { title: t('reader:column.sexAge'), render: (_, study) => <SexAge sex={study.patient_sex} birth={study.patient_birth_date} on={study.study_date ?? null} /> },
          { title: t('reader:column.modality'), dataIndex: 'modality' },
          { title: t('reader:column.exam'), render: (_, study) => study.description || study.body_part },
          { title: t('reader:receiving.since'), render: (_, study) => shortMoment(study.first_at) },
          { title: t('reader:receiving.last'), render: (_, study) => shortMoment(study.last_at) },
        ]}
      />
    </div>
  );
}
