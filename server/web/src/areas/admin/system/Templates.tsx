// Texts for reports that everybody at an organization has: templates and phrases, with import and export.
import { DownloadOutlined, PlusOutlined, UploadOutlined } from '@ant-design/icons';
import { Alert, Button, Popconfirm, Segmented, Space, Tag } from 'antd';
import { useCallback, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { newKey, request } from '@/api/request';
import { useHappened } from '@/app/live';
import { PageTitle } from '@/app/PageTitle';
import { queries } from '@/app/queries';
import { useMe } from '@/app/session';
import { Nothing, plainWords, Trouble } from '@/shared/Trouble';

import { save } from '../parts/csv';
import { DataTable, type Column } from '../parts/DataTable';
import { everything, usePaged } from '../parts/paged';
import { usePlaces } from '../parts/places';
import { TemplateForm } from './TemplateForm';
import { packed, unpacked, type Template, type TemplateTyped } from './templates';

const KEY = ['templates', 'managed'];
type Kind = 'template' | 'phrase';
type Doing = { what: 'create' } | { what: 'change'; template: Template } | null;

export function Templates() {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const me = useMe();
  const { nameOf } = usePlaces();
  const [kind, setKind] = useState<Kind>('template');
  const [doing, setDoing] = useState<Doing>(null);
  const [fault, setFault] = useState<unknown>(null);
  const [told, setTold] = useState<{ done: number; failed: string[] } | null>(null);
  const file = useRef<HTMLInputElement>(null);
  const list = usePaged<Template>(KEY, '/api/v1/templates', { kind });
  useHappened(
    ['template_changed'],
    useCallback(() => void queries.invalidateQueries({ queryKey: ['templates'] }), []),
  );
  const renew = () => queries.invalidateQueries({ queryKey: ['templates'] });
  const home = me?.grants.find((grant) => ['administrator', 'coordinator', 'verifier'].includes(grant.role))?.organization ?? '';

  async function send(typed: TemplateTyped, key: string) {
    const { organization, own, ...texts } = typed;
    if (doing?.what === 'create') await request('POST', '/api/v1/templates', { organization, own: own ?? false, kind, ...texts }, { key });
    if (doing?.what === 'change') await request('PATCH', `/api/v1/templates/${doing.template.id}`, { version: doing.template.version, ...texts });
    await renew();
  }

  async function remove(template: Template) {
    setFault(null);
    await request('DELETE', `/api/v1/templates/${template.id}`).catch(setFault);
    await renew();
  }

  async function exported() {
    setFault(null);
    try {
      const all = await everything<Template>('/api/v1/templates');
      save('medrelay-templates.json', packed(all), 'application/json');
    } catch (error) {
      setFault(error);
    }
  }

  async function imported(chosen: File) {
    setFault(null);
    setTold(null);
    try {
      const items = unpacked(await chosen.text());
      const failed: string[] = [];
      let done = 0;
      for (const item of items) {
        await request('POST', '/api/v1/templates', { ...item, organization: home, own: false }, { key: newKey() }).then(
          () => (done += 1),
          (error: unknown) => failed.push(`${item.name}: ${plainWords(error)}`),
        );
      }
      setTold({ done, failed });
      await renew();
    } catch {
      setTold({ done: 0, failed: [t('admin:templates.badFile')] });
    }
  }

  const columns: Column<Template>[] = [
    { key: 'name', title: t('admin:templates.name'), main: true, render: (template) => template.name },
    { key: 'shortcut', title: t('admin:templates.shortcut'), render: (template) => (template.shortcut ? <code>#{template.shortcut}</code> : '–') },
    { key: 'for', title: t('admin:templates.for'), render: (template) => [template.modality, template.body_part].filter(Boolean).join(' · ') || t('admin:modalities.all') },
    { key: 'whose', title: t('admin:templates.whose'), render: (template) => (template.person ? <Tag color="processing">{t('admin:templates.own')}</Tag> : nameOf(template.organization)) },
    { key: 'text', title: t('admin:templates.text'), render: (template) => <span style={{ display: 'block', maxWidth: 'min(420px, 56vw)', overflow: 'hidden', textOverflow: 'ellipsis', whiteSpace: 'nowrap' }}>{template.findings || template.impression || template.recommendation}</span> },
    {
      key: 'do',
      title: '',
      render: (template) => (
        <Space size={4}>
          <Button size="small" type="text" onClick={() => setDoing({ what: 'change', template })}>
            {t('admin:change')}
          </Button>
          <Popconfirm title={t('admin:templates.sure', { name: template.name })} okText={t('admin:remove')} cancelText={t('common:cancel')} onConfirm={() => remove(template)}>
            <Button size="small" type="text" danger>
              {t('admin:remove')}
            </Button>
          </Popconfirm>
        </Space>
      ),
    },
  ];
  const create = (
    <Button type="primary" icon={<PlusOutlined />} onClick={() => setDoing({ what: 'create' })}>
      {t(`admin:templates.create.${kind}`)}
    </Button>
  );
  return (
    <div className="page">
      <PageTitle
        title={t('admin:templates.title')}
        lead={t('admin:templates.lead')}
        actions={
          <>
            <Button icon={<DownloadOutlined />} onClick={() => void exported()}>
              {t('admin:templates.export')}
            </Button>
            <Button icon={<UploadOutlined />} onClick={() => file.current?.click()}>
              {t('admin:templates.import')}
            </Button>
            {create}
          </>
        }
      />
      <input
        ref={file}
        type="file"
        accept=".json,application/json"
        hidden
        aria-label={t('admin:templates.import')}
        onChange={(event) => {
          const chosen = event.target.files?.[0];
          event.target.value = '';
          if (chosen) void imported(chosen);
        }}
      />
      {fault !== null && <Trouble error={fault} />}
      {told && (
        <Alert
          type={told.failed.length > 0 ? 'warning' : 'success'}
          showIcon
          closable={{ onClose: () => setTold(null) }}
          title={t('admin:templates.imported', { count: told.done })}
          description={told.failed.length > 0 ? told.failed.slice(0, 10).join('；') : undefined}
          style={{ marginBottom: 12 }}
        />
      )}
      <Segmented<Kind> value={kind} onChange={setKind} options={(['template', 'phrase'] as const).map((value) => ({ value, label: t(`admin:templates.kind.${value}`) }))} style={{ marginBottom: 12 }} />
      <DataTable label={t('admin:templates.title')} columns={columns} list={list} rowKey={(template) => template.id} empty={<Nothing text={t(`admin:templates.none.${kind}`)} />} />
      <TemplateForm open={doing !== null} kind={kind} template={doing?.what === 'change' ? doing.template : null} home={home} onSend={send} onClose={() => setDoing(null)} onStale={() => void renew()} />
    </div>
  );
}
