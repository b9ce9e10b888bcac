// Where the reports of an agreement go: the clinic's inbox, and its PACS.
import { useQuery } from '@tanstack/react-query';
import { Alert, Button, Checkbox, Drawer, Form, Input, InputNumber, Popconfirm, Skeleton } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { request } from '@/api/request';
import { plainWords, Trouble } from '@/shared/Trouble';

import { EditDialog } from '../parts/EditDialog';
import type { Agreement } from './Agreements';

type Destination = Schemas['DestinationBody'];

interface Typed {
  name: string;
  ae_title: string;
  host: string;
  port: number;
  tls?: boolean;
}

export function Destinations({ agreement, onClose }: { agreement: Agreement | null; onClose: () => void }) {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const [adding, setAdding] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const id = agreement?.id ?? '';
  const list = useQuery({ queryKey: ['destinations', id], queryFn: () => request<{ items: Destination[] }>('GET', `/api/v1/agreements/${id}/destinations`), enabled: id !== '' });
  const items = list.data?.items ?? [];

  async function remove(destination: Destination) {
    setFault(null);
    await request('DELETE', `/api/v1/destinations/${destination.id}`).catch((error: unknown) => setFault(plainWords(error)));
    await list.refetch();
  }

  return (
    <Drawer open={agreement !== null} onClose={onClose} size={460} title={t('admin:destinations.title')}>
      <p>{t('admin:destinations.lead')}</p>
      {fault && <Alert role="alert" type="error" showIcon title={fault} />}
      {list.isError && <Trouble error={list.error} retry={() => void list.refetch()} />}
      {list.isPending && <Skeleton active />}
      <ul style={{ listStyle: 'none', padding: 0 }}>
        {items.map((destination) => (
          <li key={destination.id} style={{ display: 'flex', justifyContent: 'space-between', gap: 8, padding: '8px 0' }}>
            <span>
              <b>{destination.name}</b> · {t(`admin:route.${destination.route}`)}
              {destination.address && (
                <div className="quiet">
                  {destination.address.ae_title}@{destination.address.host}:{destination.address.port} {destination.address.tls ? 'TLS' : ''}
                </div>
              )}
            </span>
            <Popconfirm title={t('admin:destinations.sure')} okText={t('admin:remove')} cancelText={t('common:cancel')} onConfirm={() => remove(destination)}>
              <Button size="small" danger disabled={items.length < 2} title={items.length < 2 ? t('admin:destinations.last') : undefined}>
                {t('admin:remove')}
              </Button>
            </Popconfirm>
          </li>
        ))}
      </ul>
      <Button onClick={() => setAdding(true)}>{t('admin:destinations.add')}</Button>
      <EditDialog<Typed>
        open={adding}
        title={t('admin:destinations.add')}
        explain={t('admin:destinations.pacs')}
        action={t('admin:create')}
        initial={{ port: 104 }}
        onSend={async (typed, key) => {
          const address = { ae_title: typed.ae_title.trim(), host: typed.host.trim(), port: typed.port, tls: typed.tls ?? false };
          await request('POST', `/api/v1/agreements/${id}/destinations`, { route: 'dicom', name: typed.name.trim(), address }, { key });
          await list.refetch();
        }}
        onClose={() => setAdding(false)}
      >
        <Form.Item name="name" label={t('admin:destinations.name')} rules={[{ required: true, whitespace: true, message: t('admin:form.required') }]}>
          <Input maxLength={100} autoFocus />
        </Form.Item>
        <Form.Item name="ae_title" label={t('admin:devices.ae')} rules={[{ required: true, whitespace: true, message: t('admin:form.required') }]}>
          <Input maxLength={16} spellCheck={false} />
        </Form.Item>
        <Form.Item name="host" label={t('admin:destinations.host')} rules={[{ required: true, whitespace: true, message: t('admin:form.required') }]}>
          <Input maxLength={253} spellCheck={false} />
        </Form.Item>
        <Form.Item name="port" label={t('admin:destinations.port')} rules={[{ required: true, message: t('admin:form.required') }]}>
          <InputNumber min={1} max={65_535} precision={0} />
        </Form.Item>
        <Form.Item name="tls" valuePropName="checked">
          <Checkbox>{t('admin:destinations.tls')}</Checkbox>
        </Form.Item>
      </EditDialog>
    </Drawer>
  );
}
