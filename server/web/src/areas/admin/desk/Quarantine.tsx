// What was put aside at the door, why, and what a person decided about it.
import { Button, Segmented } from 'antd';
import { useCallback, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useHappened } from '@/app/live';
import { PageTitle } from '@/app/PageTitle';
import { queries } from '@/app/queries';
import { ConfirmText } from '@/shared/ConfirmText';
import { Parts } from '@/shared/Parts';
import { moment } from '@/shared/time';
import { Nothing } from '@/shared/Trouble';

import { DataTable, type Column } from '../parts/DataTable';
import { usePaged } from '../parts/paged';
import { usePlaces } from '../parts/places';
import { settle, type Held } from './api';

const KEY = ['quarantine'];
const KINDS = ['instance_quarantined', 'quarantine_settled'];

export function Quarantine() {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const [settled, setSettled] = useState(false);
  const [open, setOpen] = useState<Held | null>(null);
  const { nameOf } = usePlaces();
  useHappened(
    KINDS,
    useCallback(() => void queries.invalidateQueries({ queryKey: KEY }), []),
  );
  const list = usePaged<Held>(KEY, '/api/v1/quarantine', { settled });
  const columns: Column<Held>[] = [
    { key: 'why', title: t('admin:column.reason'), main: true, render: (held) => t(`admin:quarantine.reason.${held.reason}`) },
    { key: 'clinic', title: t('admin:column.clinic'), render: (held) => nameOf(held.clinic) },
    { key: 'uid', title: t('admin:quarantine.uid'), render: (held) => <span style={{ fontSize: 12, overflowWrap: 'anywhere' }}>{held.study_uid}</span> },
    { key: 'at', title: t('admin:column.arrived'), render: (held) => moment(held.received_at) },
    settled
      ? { key: 'settled', title: t('admin:quarantine.decision'), render: (held) => <Parts of={[held.settled_reason, held.settled_by_name, held.settled_at ? moment(held.settled_at) : '']} /> }
      : { key: 'todo', title: t('admin:quarantine.todo'), render: (held) => t(`admin:quarantine.advice.${held.reason}`) },
    ...(settled ? [] : [{ key: 'do', title: '', render: (held: Held) => <Button size="small" onClick={() => setOpen(held)}>{t('admin:quarantine.settle')}</Button> }]),
  ];
  return (
    <div className="page">
      <PageTitle title={t('admin:quarantine.title')} lead={t('admin:quarantine.lead')} />
      <Segmented<boolean> value={settled} onChange={setSettled} options={[{ value: false, label: t('admin:quarantine.open') }, { value: true, label: t('admin:quarantine.settled') }]} style={{ marginBottom: 12 }} />
      <DataTable label={t('admin:quarantine.title')} columns={columns} list={list} rowKey={(held) => held.id} empty={<Nothing text={t('admin:quarantine.none')} />} />
      <ConfirmText
        open={open !== null}
        title={t('admin:quarantine.settle')}
        explain={open && t(`admin:quarantine.advice.${open.reason}`)}
        label={t('admin:quarantine.reasonLabel')}
        action={t('admin:quarantine.settle')}
        onDone={async (reason) => {
          if (open) await settle(open.id, reason);
          await queries.invalidateQueries({ queryKey: KEY });
        }}
        onClose={() => setOpen(null)}
      />
    </div>
  );
}
