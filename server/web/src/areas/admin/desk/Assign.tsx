// Giving cases to readers: what waits on one side, who has how much on the other; by choosing or by dragging.
import { useQuery } from '@tanstack/react-query';
import { Alert, Button, Select, Space } from 'antd';
import { useCallback, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { asProblem } from '@/api/problem';
import { useHappened } from '@/app/live';
import { PageTitle } from '@/app/PageTitle';
import { queries } from '@/app/queries';
import { Countdown } from '@/shared/Countdown';
import { Parts } from '@/shared/Parts';
import { PatientName } from '@/shared/PatientName';
import { PriorityTag } from '@/shared/PriorityTag';
import { Nothing, plainWords, Trouble } from '@/shared/Trouble';

import { DataTable, type Column } from '../parts/DataTable';
import { centresOf, choicesOf, usePlaces } from '../parts/places';
import { assign, queue, readers, type Line, type Reader } from './api';
import { ReaderLoad } from './ReaderLoad';

const KEY = ['assign'];
const KINDS = ['case_queued', 'case_claimed', 'case_released', 'claim_expired', 'case_assigned', 'case_returned', 'case_resubmitted', 'case_taken_over', 'preliminary_signed', 'final_signed'];
const DRAGGED = 'application/x-medrelay-case';

/** Whether a reader may read what a case is of, and sign it: where one signature is enough it is a verifier's. */
function mayRead(reader: Reader, { modality, policy }: Pick<Line['case'], 'modality' | 'policy'>): boolean {
  return (reader.modalities.length === 0 || reader.modalities.includes(modality)) && (policy !== 'single_senior' || reader.roles.includes('verifier'));
}

export function Assign() {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const { places } = usePlaces();
  const centres = centresOf(places);
  const [picked, setPicked] = useState<string | null>(null);
  const [chosen, setChosen] = useState<string[]>([]);
  const [fault, setFault] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const centre = picked ?? centres[0]?.id ?? '';
  useHappened(
    KINDS,
    useCallback(() => void queries.invalidateQueries({ queryKey: KEY }, { cancelRefetch: false }), []),
  );
  const waiting = useQuery({ queryKey: [...KEY, 'ready', centre], queryFn: () => queue({ centre, tab: 'ready', limit: 500 }), enabled: centre !== '', refetchInterval: 60_000 });
  const people = useQuery({ queryKey: [...KEY, 'readers', centre], queryFn: () => readers(centre), enabled: centre !== '', refetchInterval: 60_000 });
  const lines = waiting.data?.items ?? [];
  const crew = people.data?.items ?? [];

  async function give(ids: string[], person: string | null) {
    setBusy(true);
    setFault(null);
    const failed: string[] = [];
    for (const id of ids) {
      await assign(id, person).catch((error: unknown) => {
        const words = asProblem(error).field === 'person' ? t('admin:assign.mayNot', { name: crew.find((reader) => reader.person === person)?.name ?? '' }) : plainWords(error);
        failed.push(`${lines.find((line) => line.case.id === id)?.number ?? ''} ${words}`);
      });
    }
    setFault(failed.length > 0 ? failed.join('；') : null);
    setChosen([]);
    setBusy(false);
    await queries.invalidateQueries({ queryKey: KEY });
  }

  const choicesFor = (cases: Line['case'][]) => crew.map((reader) => ({ value: reader.person, label: t('admin:assign.choice', { name: reader.name, count: reader.holds + reader.waiting }), disabled: !cases.every((one) => mayRead(reader, one)) }));
  const columns: Column<Line>[] = [
    {
      key: 'number',
      title: t('admin:column.case'),
      main: true,
      render: (line) => (
        <span draggable onDragStart={(event) => event.dataTransfer.setData(DRAGGED, line.case.id)} style={{ cursor: 'grab' }} title={t('admin:assign.drag')}>
          {line.number}
        </span>
      ),
    },
    { key: 'priority', title: t('admin:column.priority'), render: (line) => <PriorityTag priority={line.case.priority} /> },
    { key: 'patient', title: t('admin:column.patient'), render: (line) => <PatientName name={line.patient} /> },
    { key: 'study', title: t('admin:column.study'), render: (line) => <Parts of={[line.case.modality, line.body_part]} /> },
    { key: 'clinic', title: t('admin:column.clinic'), render: (line) => line.clinic_name },
    { key: 'left', title: t('admin:column.limit'), render: (line) => <Countdown from={line.case.opened_at} due={line.case.deadline} /> },
    {
      key: 'whom',
      title: t('admin:assign.reader'),
      render: (line) => (
        <Select
          size="small"
          style={{ minWidth: 170 }}
          aria-label={t('admin:assign.readerOf', { number: line.number })}
          placeholder={t('admin:assign.whoever')}
          value={line.assigned ?? null}
          allowClear
          disabled={busy}
          options={choicesFor([line.case])}
          onChange={(person: string | null | undefined) => void give([line.case.id], person ?? null)}
        />
      ),
    },
  ];
  const list = { items: lines, loading: waiting.isPending && centre !== '', error: waiting.error, again: () => void waiting.refetch() };
  return (
    <div className="page">
      <PageTitle
        title={t('admin:assign.title')}
        lead={t('admin:assign.lead')}
        actions={centres.length > 1 && <Select aria-label={t('admin:column.centre')} value={centre} options={choicesOf(centres)} onChange={setPicked} style={{ minWidth: 200 }} />}
      />
      {fault && <Alert role="alert" type="error" showIcon closable={{ onClose: () => setFault(null) }} title={fault} style={{ marginBottom: 12 }} />}
      <div className="two-columns">
        <section aria-label={t('admin:assign.readers')}>
          {people.error && <Trouble error={people.error} retry={() => void people.refetch()} />}
          <ReaderLoad readers={crew} onDrop={(person, event) => void give([event.dataTransfer.getData(DRAGGED)].filter(Boolean), person)} />
          {people.data && crew.length === 0 && <Nothing text={t('admin:assign.noReaders')} />}
        </section>
        <section aria-label={t('admin:assign.waiting')}>
          {chosen.length > 0 && (
            <Space wrap style={{ marginBottom: 8 }}>
              <span>{t('admin:assign.chosen', { count: chosen.length })}</span>
              <Select style={{ minWidth: 200 }} placeholder={t('admin:assign.giveTo')} aria-label={t('admin:assign.giveTo')} disabled={busy} value={null} options={choicesFor(lines.filter((line) => chosen.includes(line.case.id)).map((line) => line.case))} onChange={(person: string) => void give(chosen, person)} />
              <Button disabled={busy} onClick={() => void give(chosen, null)}>
                {t('admin:assign.free')}
              </Button>
            </Space>
          )}
          <DataTable label={t('admin:assign.waiting')} columns={columns} list={list} rowKey={(line) => line.case.id} selected={chosen} onSelect={setChosen} empty={<Nothing text={t('admin:assign.nothing')} />} />
        </section>
      </div>
    </div>
  );
}
