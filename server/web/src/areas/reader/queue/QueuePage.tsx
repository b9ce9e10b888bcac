// The queue: what waits, in the order in which it should be read, and the next case as the first thing to do.
import { ForwardOutlined } from '@ant-design/icons';
import { Button, Grid, Select, Tabs, Tooltip } from 'antd';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { has, useMe } from '@/app/session';
import { isTyping } from '@/areas/viewer/keys';
import { ConfirmText } from '@/shared/ConfirmText';
import { setPreference, usePreference } from '@/shared/preferences';
import { Trouble } from '@/shared/Trouble';

import { TABS, type Filter, type QueueLine, type Tab } from '../api';
import { fetchAhead } from '../case/ahead';
import { ColumnChoice } from './ColumnChoice';
import { readColumns, type ColumnId } from './columns';
import { FilterBar } from './FilterBar';
import { narrows, NO_FILTER, useSearch } from './filters';
import { QueueTable } from './QueueTable';
import { Receiving } from './Receiving';
import { useOpening } from './useOpening';
import { useQueue } from './useQueue';

const setColumns = (shown: readonly ColumnId[] | null) => setPreference('queue.columns', shown);
const readTab = (value: unknown): Tab => TABS.find((tab) => tab === value) ?? 'ready';

/** `N` anywhere and `Enter` where nothing else has the focus take the next case. */
function useNextKey(next: () => void): void {
  const latest = useRef(next);
  latest.current = next;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.repeat || isTyping(event) || event.ctrlKey || event.altKey || event.metaKey) return;
      if ((event.target as Element | null)?.closest?.('[role="dialog"]')) return;
      const free = event.target === document.body || (event.target as Element | null)?.id === 'main';
      if (event.key.toLowerCase() !== 'n' && !(event.key === 'Enter' && free)) return;
      event.preventDefault();
      latest.current();
    };
    window.addEventListener('keydown', pressed);
    return () => window.removeEventListener('keydown', pressed);
  }, []);
}

export function QueuePage() {
  const { t } = useTranslation('reader');
  const me = useMe();
  const narrow = !(Grid.useBreakpoint().md ?? true);
  const [tab, setTab] = usePreference('queue.tab', readTab);
  const [columns] = usePreference('queue.columns', readColumns);
  const [rest, setRest] = useState<Omit<Filter, 'tab' | 'text'>>(NO_FILTER);
  const [typed, setTyped] = useState('');
  const text = useSearch(typed);
  const filter = useMemo<Filter>(
    () => ({ modality: rest.modality, clinic: rest.clinic, priority: rest.priority, overdue: rest.overdue, tab, text }),
    [rest, tab, text],
  );
  const { rows, shown, refresh } = useQueue(filter);
  const opening = useOpening(useCallback((detail) => rows.take(detail), [rows]));
  const [taking, setTaking] = useState<QueueLine | null>(null);

  const reads = has(me, 'reporter', 'verifier');
  const next = useCallback(() => {
    if (reads) void opening.next();
  }, [reads, opening]);
  useNextKey(next);

  // The likely next case is fetched while the reader still looks at the list.
  const likely = shown.ready ? rows.likelyNext((line) => has(me, 'verifier') || line.case.policy === 'double')?.study_uid : undefined;
  useEffect(() => {
    if (reads && likely) fetchAhead(likely);
  }, [reads, likely]);

  const actions = useMemo(
    () => ({
      me: me?.id ?? '',
      reads,
      takesOver: has(me, 'verifier', 'coordinator'),
      verifies: has(me, 'verifier'),
      busy: opening.busy,
      onOpen: (line: QueueLine) => opening.look(line.case.id),
      onClaim: (line: QueueLine) => void opening.claim(line.case.id),
      onTakeOver: setTaking,
    }),
    [me, reads, opening],
  );

  function change(part: Partial<Filter>) {
    if (part.tab) setTab(part.tab);
    setRest((before) => ({ ...before, ...part }));
  }

  const counts = shown.counts;
  const tabs = TABS.map((name) => ({ key: name, label: `${t(`reader:tab.${name}`)}${counts ? ` ${counts[name]}` : ''}` }));
  return (
    <section className="queue-page" aria-label={t('reader:queue.title')}>
      <div className="queue-top">
        {reads && (
          <Tooltip title={t('reader:queue.nextKey')}>
            <Button type="primary" size="large" autoFocus icon={<ForwardOutlined aria-hidden />} loading={opening.busy === 'next'} onClick={next} aria-keyshortcuts="N">
              {t('reader:queue.next')}
            </Button>
          </Tooltip>
        )}
        {narrow ? (
          <Select value={tab} style={{ flex: 1 }} aria-label={t('reader:queue.parts')} options={tabs.map(({ key, label }) => ({ value: key, label }))} onChange={setTab} />
        ) : (
          <Tabs activeKey={tab} items={tabs} onChange={(name) => setTab(readTab(name))} style={{ minWidth: 0, flex: '1 1 300px' }} tabBarStyle={{ margin: 0 }} aria-label={t('reader:queue.parts')} />
        )}
        {counts && reads && (
          <span className="queue-own quiet">
            {counts.signed_today !== undefined && `${t('reader:queue.signedToday', { count: counts.signed_today })} · `}
            {t('reader:queue.open', { count: counts.mine })}
          </span>
        )}
      </div>
      {tab === 'receiving' ? (
        <Receiving />
      ) : (
        <>
          <FilterBar narrow={narrow} filter={filter} typed={typed} onTyped={setTyped} onFilter={change}>
            <span className="queue-space" />
            <span className="quiet" role="status">
              {shown.ready ? t('reader:queue.total', { count: shown.total }) : t('reader:queue.loading')}
            </span>
            {!narrow && <ColumnChoice shown={columns.map((column) => column.id)} onChange={setColumns} />}
          </FilterBar>
          {shown.problem && <Trouble error={shown.problem} retry={() => rows.again()} />}
          <div className="queue-over">
            <div className="queue-news" aria-live="polite">
              {shown.fresh > 0 && (
                <Button type="primary" shape="round" onClick={refresh}>
                  {t('reader:queue.fresh', { count: shown.fresh })}
                </Button>
              )}
            </div>
            <QueueTable rows={rows} shown={shown} columns={columns} narrow={narrow} actions={actions} />
            {shown.ready && shown.total === 0 && <div className="queue-none quiet">{narrows(filter) ? t('reader:queue.noneFound') : t(`reader:empty.${tab}`)}</div>}
          </div>
        </>
      )}
      <ConfirmText
        open={taking !== null}
        title={t('reader:takeOver.title')}
        explain={t('reader:takeOver.explain', { name: taking?.holder_name ?? '' })}
        label={t('reader:takeOver.reason')}
        action={t('reader:act.takeOver')}
        danger
        onDone={async (reason) => {
          if (taking) await opening.takeOver(taking.case.id, reason);
        }}
        onClose={() => setTaking(null)}
      />
    </section>
  );
}
