// The audit trail: what happened, who did it, to what and from where; filtered, page by page, to be saved as shown.
import { DownloadOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Alert, Button, Form, Input, Modal, Select, Space, Tag } from 'antd';
import { useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { request } from '@/api/request';
import { PageTitle } from '@/app/PageTitle';
import { clockSeconds, day } from '@/shared/time';
import { Nothing, plainWords } from '@/shared/Trouble';

import { csv, save } from '../parts/csv';
import { DataTable, type Column } from '../parts/DataTable';
import { everything, usePaged } from '../parts/paged';
import { choicesOf, usePlaces } from '../parts/places';
import { spanBetween } from '../desk/periods';

/** At most so many records are saved in one file. */
const MOST = 50_000;

type Entry = Schemas['AuditEntry'] & { actor_name?: string | null };

interface Asked {
  kind?: string;
  actor?: string;
  object?: string;
  organization?: string;
  first?: string;
  last?: string;
}

/** `person:0123…` as its kind and the end of its number: enough to tell apart, short enough to read. */
function short(thing: string): string {
  const [kind, id] = thing.split(':');
  return id ? `${kind}:…${id.slice(-6)}` : thing;
}

export function Audit() {
  const { t, i18n } = useTranslation(['admin', 'common', 'shared']);
  const [form] = Form.useForm<Asked>();
  const [asked, setAsked] = useState<Asked>({});
  const [shown, setShown] = useState<Entry | null>(null);
  const [fetched, setFetched] = useState<number | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const { places, nameOf } = usePlaces();
  const kinds = useQuery({ queryKey: ['audit', 'kinds'], queryFn: () => request<{ items: string[] }>('GET', '/api/v1/audit/kinds'), staleTime: Number.POSITIVE_INFINITY });
  const span = asked.first || asked.last ? spanBetween(asked.first || '1970-01-02', asked.last || '9000-01-01') : null;
  const query = {
    kind: asked.kind,
    actor: asked.actor?.trim(),
    object: asked.object?.trim(),
    organization: asked.organization,
    from: span && asked.first ? span.from : null,
    to: span && asked.last ? span.to : null,
  };
  const list = usePaged<Entry>(['audit', 'list'], '/api/v1/audit', query);
  const kindName = (kind: string) => (i18n.exists(`admin:event.${kind}`) ? t(`admin:event.${kind}`) : kind);
  const kindChoices = (kinds.data?.items ?? []).map((kind) => ({ value: kind, label: kindName(kind) })).sort((a, b) => a.label.localeCompare(b.label, i18n.language));
  const actorName = (entry: Entry) => entry.actor_name ?? (entry.actor === 'system' || entry.actor === 'anonymous' ? t(`admin:audit.${entry.actor}`) : short(entry.actor));

  function only(more: Asked) {
    const next = { ...asked, ...more };
    form.setFieldsValue(next);
    setAsked(next);
  }

  // Auditors may not list people: whoever has been seen in the trail can be chosen by name, others by `person:…`.
  const seen = useRef(new Map<string, string>());
  const [typedActor, setTypedActor] = useState('');
  for (const entry of list.items) if (entry.actor) seen.current.set(entry.actor, actorName(entry));
  const actors = [...seen.current].map(([value, label]) => ({ value, label })).sort((a, b) => a.label.localeCompare(b.label, i18n.language));
  if (/^[a-z]+:\S+$/.test(typedActor) && !seen.current.has(typedActor)) actors.push({ value: typedActor, label: typedActor });

  async function exported() {
    setFault(null);
    setFetched(0);
    try {
      const all = await everything<Entry>('/api/v1/audit', query, MOST, setFetched);
      write(all);
      if (all.length >= MOST) setFault(t('admin:audit.tooMany', { count: all.length }));
    } catch (error) {
      setFault(plainWords(error));
    } finally {
      setFetched(null);
    }
  }

  function write(items: Entry[]) {
    const heads = ['seq', t('admin:audit.at'), t('admin:audit.kind'), t('admin:audit.actor'), 'actor', t('admin:audit.object'), t('admin:column.organization'), t('admin:audit.source'), t('admin:audit.details')];
    const rows = items.map((entry) => [entry.seq, `${day(entry.at)} ${clockSeconds(entry.at)}`, kindName(entry.kind), actorName(entry), entry.actor, entry.object, entry.organization ? nameOf(entry.organization) : '', entry.source, JSON.stringify(entry.details)]);
    save('medrelay-audit.csv', csv([heads, ...rows]));
  }

  const columns: Column<Entry>[] = [
    { key: 'at', title: t('admin:audit.at'), main: true, render: (entry) => `${day(entry.at)} ${clockSeconds(entry.at)}` },
    { key: 'kind', title: t('admin:audit.kind'), render: (entry) => <Button type="link" size="small" style={{ padding: 0 }} onClick={() => only({ kind: entry.kind })}>{kindName(entry.kind)}</Button> },
    { key: 'actor', title: t('admin:audit.actor'), render: (entry) => <Button type="link" size="small" style={{ padding: 0 }} title={entry.actor} onClick={() => only({ actor: entry.actor })}>{actorName(entry)}</Button> },
    { key: 'object', title: t('admin:audit.object'), render: (entry) => (entry.object ? <Button type="link" size="small" style={{ padding: 0 }} title={entry.object} onClick={() => only({ object: entry.object })}>{short(entry.object)}</Button> : '–') },
    { key: 'organization', title: t('admin:column.organization'), render: (entry) => (entry.organization ? nameOf(entry.organization) : '–') },
    { key: 'source', title: t('admin:audit.source'), render: (entry) => entry.source || '–' },
    { key: 'more', title: '', render: (entry) => <Button size="small" onClick={() => setShown(entry)}>{t('admin:audit.details')}</Button> },
  ];
  const filters = Object.entries(asked).filter(([, value]) => value);
  return (
    <div className="page">
      <PageTitle
        title={t('admin:audit.title')}
        lead={t('admin:audit.lead')}
        actions={
          <Button icon={<DownloadOutlined />} disabled={list.items.length === 0} loading={fetched !== null} onClick={() => void exported()}>
            {fetched === null ? t('admin:audit.export') : t('admin:audit.exporting', { count: fetched })}
          </Button>
        }
      />
      {fault && <Alert role="alert" type="warning" showIcon closable={{ onClose: () => setFault(null) }} title={fault} style={{ marginBottom: 12 }} />}
      <Form form={form} layout="vertical" onFinish={setAsked}>
        <div style={{ display: 'grid', gap: '0 12px', gridTemplateColumns: 'repeat(auto-fill, minmax(min(190px, 100%), 1fr))', alignItems: 'end' }}>
          <Form.Item name="kind" label={t('admin:audit.kind')}>
            <Select allowClear showSearch={{ optionFilterProp: 'label' }} options={kindChoices} loading={kinds.isPending} />
          </Form.Item>
          <Form.Item name="actor" label={t('admin:audit.actor')}>
            <Select allowClear showSearch={{ optionFilterProp: 'label', onSearch: (text) => setTypedActor(text.trim()) }} options={actors} />
          </Form.Item>
          <Form.Item name="object" label={t('admin:audit.object')}>
            <Input allowClear placeholder="case:…" spellCheck={false} />
          </Form.Item>
          <Form.Item name="organization" label={t('admin:column.organization')}>
            <Select allowClear showSearch={{ optionFilterProp: 'label' }} options={choicesOf(places)} />
          </Form.Item>
          <Form.Item name="first" label={t('admin:statistics.first')}>
            <Input type="date" />
          </Form.Item>
          <Form.Item name="last" label={t('admin:statistics.last')}>
            <Input type="date" />
          </Form.Item>
          <Form.Item>
            <Space>
              <Button type="primary" htmlType="submit">
                {t('admin:audit.search')}
              </Button>
              <Button
                disabled={filters.length === 0}
                onClick={() => {
                  form.resetFields();
                  setAsked({});
                }}
              >
                {t('admin:audit.clear')}
              </Button>
            </Space>
          </Form.Item>
        </div>
      </Form>
      <DataTable label={t('admin:audit.title')} columns={columns} list={list} rowKey={(entry) => String(entry.seq)} empty={<Nothing text={t('admin:audit.none')} />} />
      <Modal open={shown !== null} title={shown ? `${kindName(shown.kind)} · ${shown.seq}` : ''} footer={null} onCancel={() => setShown(null)} width={640}>
        {shown && (
          <dl className="card-lines">
            {[
              [t('admin:audit.at'), `${day(shown.at)} ${clockSeconds(shown.at)}`],
              [t('admin:audit.actor'), `${actorName(shown)} (${shown.actor})`],
              [t('admin:audit.object'), shown.object || '–'],
              [t('admin:audit.source'), shown.source || '–'],
              [t('admin:audit.partner'), shown.partner ? nameOf(shown.partner) : '–'],
            ].map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
            {Object.entries(shown.details as Record<string, unknown>).map(([name, value]) => (
              <div key={name}>
                <dt>
                  <Tag>{name}</Tag>
                </dt>
                <dd>{typeof value === 'string' ? value : JSON.stringify(value)}</dd>
              </div>
            ))}
          </dl>
        )}
      </Modal>
    </div>
  );
}
