// The tree of the consortium: hospitals and clinics, made, renamed, closed and opened again.
import { PlusOutlined } from '@ant-design/icons';
import { App, Button, Form, Input, Select, Skeleton, Space, Switch, Tag, Tree } from 'antd';
import { useCallback, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useHappened } from '@/app/live';
import { PageTitle } from '@/app/PageTitle';
import { queries } from '@/app/queries';
import { request } from '@/api/request';
import { plainWords, Trouble } from '@/shared/Trouble';

import { ConfirmTyped } from '../parts/ConfirmTyped';
import { EditDialog } from '../parts/EditDialog';
import { NextStep } from '../parts/firstSteps';
import { KINDS, usePlaces, type Place } from '../parts/places';

interface Node {
  key: string;
  place: Place;
  title: string;
  children: Node[];
}

type Doing = { what: 'create'; parent: Place } | { what: 'rename'; place: Place } | { what: 'close'; place: Place } | null;

function treeOf(places: Place[], closed: boolean): Node[] {
  const shown = places.filter((place) => closed || !place.closed_at);
  const ids = new Set(shown.map((place) => place.id));
  const below = (parent: string | null): Node[] =>
    shown
      .filter((place) => (place.parent && ids.has(place.parent) ? place.parent : null) === parent)
      .map((place) => ({ key: place.id, place, title: place.name, children: below(place.id) }));
  return below(null);
}

/** The kinds that make sense below a kind. */
function kindsBelow(kind: string): readonly string[] {
  const at = KINDS.findIndex((known) => known === kind);
  return at < 0 ? KINDS : KINDS.slice(at === KINDS.length - 1 ? at : at + 1);
}

export function Organizations() {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const { message } = App.useApp();
  const { places, loading, error, again } = usePlaces();
  const [doing, setDoing] = useState<Doing>(null);
  const [closed, setClosed] = useState(false);
  useHappened(
    ['organization_changed'],
    useCallback(() => void queries.invalidateQueries({ queryKey: ['organizations'] }), []),
  );
  const stale = () => void queries.invalidateQueries({ queryKey: ['organizations'] });
  const close = () => setDoing(null);

  async function change(place: Place, body: Record<string, unknown>) {
    await request('PATCH', `/api/v1/organizations/${place.id}`, { version: place.version, ...body });
    await queries.invalidateQueries({ queryKey: ['organizations'] });
  }

  async function reopen(place: Place) {
    await change(place, { closed: false }).catch((fault: unknown) => message.error(plainWords(fault)));
  }

  const row = ({ place }: Node) => (
    <span style={{ display: 'inline-flex', flexWrap: 'wrap', gap: 8, alignItems: 'center' }}>
      <span>{place.name}</span>
      <Tag>{t(`admin:kind.${place.kind}`)}</Tag>
      {place.closed_at && <Tag color="error">{t('admin:organizations.closed')}</Tag>}
      <Space size={4} wrap onClick={(event) => event.stopPropagation()}>
        {!place.closed_at && (
          <Button size="small" icon={<PlusOutlined />} onClick={() => setDoing({ what: 'create', parent: place })}>
            {t('admin:organizations.below')}
          </Button>
        )}
        <Button size="small" type="text" onClick={() => setDoing({ what: 'rename', place })}>
          {t('admin:rename')}
        </Button>
        {place.closed_at ? (
          <Button size="small" type="text" onClick={() => void reopen(place)}>
            {t('admin:organizations.reopen')}
          </Button>
        ) : (
          place.parent && (
            <Button size="small" type="text" danger onClick={() => setDoing({ what: 'close', place })}>
              {t('admin:organizations.close')}
            </Button>
          )
        )}
      </Space>
    </span>
  );
  const tree = treeOf(places, closed);
  const top = tree[0]?.place;
  const someClosed = places.some((place) => place.closed_at);
  return (
    <div className="page">
      <PageTitle
        title={t('admin:organizations.title')}
        lead={t('admin:organizations.lead')}
        actions={
          <>
            {someClosed && (
              <label style={{ display: 'inline-flex', gap: 8 }}>
                <Switch size="small" checked={closed} onChange={setClosed} /> {t('admin:organizations.showClosed')}
              </label>
            )}
            {top && (
              <Button type="primary" icon={<PlusOutlined />} onClick={() => setDoing({ what: 'create', parent: top })}>
                {t('admin:home.do.clinic')}
              </Button>
            )}
          </>
        }
      />
      <NextStep here="clinic" />
      {error && <Trouble error={error} retry={again} />}
      {loading ? <Skeleton active /> : <Tree<Node> key={`${places.length} ${closed}`} treeData={tree} titleRender={row} defaultExpandAll selectable={false} blockNode showLine />}
      <EditDialog<{ name: string; kind: string }>
        open={doing?.what === 'create'}
        title={doing?.what === 'create' ? t('admin:organizations.createBelow', { name: doing.parent.name }) : ''}
        action={t('admin:create')}
        initial={{ kind: doing?.what === 'create' ? kindsBelow(doing.parent.kind).find((kind) => kind === 'township_clinic') ?? kindsBelow(doing.parent.kind)[0] ?? 'village_clinic' : 'village_clinic' }}
        onSend={async (typed, key) => {
          if (doing?.what !== 'create') return;
          await request('POST', '/api/v1/organizations', { parent: doing.parent.id, kind: typed.kind, name: typed.name.trim() }, { key });
          await queries.invalidateQueries({ queryKey: ['organizations'] });
        }}
        onClose={close}
      >
        <Form.Item name="name" label={t('admin:organizations.name')} rules={[{ required: true, whitespace: true, message: t('admin:form.required') }]}>
          <Input maxLength={100} autoFocus placeholder={t('admin:organizations.example')} />
        </Form.Item>
        <Form.Item name="kind" label={t('admin:organizations.kind')}>
          <Select options={(doing?.what === 'create' ? kindsBelow(doing.parent.kind) : KINDS).map((kind) => ({ value: kind, label: t(`admin:kind.${kind}`) }))} />
        </Form.Item>
      </EditDialog>
      <EditDialog<{ name: string }>
        open={doing?.what === 'rename'}
        title={t('admin:rename')}
        action={t('admin:save')}
        initial={{ name: doing?.what === 'rename' ? doing.place.name : '' }}
        onSend={async (typed) => {
          if (doing?.what === 'rename') await change(doing.place, { name: typed.name.trim() });
        }}
        onStale={stale}
        onClose={close}
      >
        <Form.Item name="name" label={t('admin:organizations.name')} rules={[{ required: true, whitespace: true, message: t('admin:form.required') }]}>
          <Input maxLength={100} autoFocus />
        </Form.Item>
      </EditDialog>
      <ConfirmTyped
        open={doing?.what === 'close'}
        title={t('admin:organizations.close')}
        explain={t('admin:organizations.closeHelp')}
        name={doing?.what === 'close' ? doing.place.name : ''}
        action={t('admin:organizations.close')}
        onDone={async () => {
          if (doing?.what === 'close') await change(doing.place, { closed: true });
        }}
        onClose={close}
      />
    </div>
  );
}
