// Devices that send straight to the relay: what to type in at them, and green at the first echo.
import { CheckCircleFilled, ClockCircleOutlined, PlusOutlined } from '@ant-design/icons';
import { Alert, Button, Descriptions, Form, Input, Popconfirm, Select, Space } from 'antd';
import { useCallback, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { request } from '@/api/request';
import { useHappened } from '@/app/live';
import { PageTitle } from '@/app/PageTitle';
import { queries } from '@/app/queries';
import { Copy } from '@/shared/Copy';
import { moment } from '@/shared/time';
import { Nothing, Trouble } from '@/shared/Trouble';

import { DataTable, type Column } from '../parts/DataTable';
import { EditDialog } from '../parts/EditDialog';
import { usePaged } from '../parts/paged';
import { administers, choicesOf, usePlaces } from '../parts/places';
import { hostOf, isLoopback, useConnection } from './address';
import { heardAt, type Device } from './gateway';

interface Typed {
  clinic: string;
  name: string;
  ae_title: string;
  address?: string;
  charset?: string;
}
type Doing = { what: 'create' } | { what: 'change'; device: Device } | null;

const KEY = ['devices'];
const CHARSETS = ['GB18030', 'GBK', 'ISO_IR 192', 'ISO_IR 100'];

function Heard({ device }: { device: Device }) {
  const { t } = useTranslation(['admin', 'common']);
  const last = heardAt(device);
  if (last === 0) {
    return (
      <span className="state-fair">
        <ClockCircleOutlined aria-hidden /> {t('admin:devices.silent')}
      </span>
    );
  }
  return (
    <span className="state-good">
      <CheckCircleFilled aria-hidden /> {t(device.stored_at === last ? 'admin:devices.stored' : 'admin:devices.echoed', { at: moment(last) })}
    </span>
  );
}

export function Devices() {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const { places, nameOf } = usePlaces();
  const [clinic, setClinic] = useState<string | null>(null);
  const [doing, setDoing] = useState<Doing>(null);
  const [fault, setFault] = useState<unknown>(null);
  const manage = administers();
  const connection = useConnection();
  const list = usePaged<Device>(KEY, '/api/v1/devices', { clinic }, { every: 5_000 });
  useHappened(
    ['device_changed'],
    useCallback(() => void queries.invalidateQueries({ queryKey: KEY }), []),
  );

  async function send(typed: Typed, key: string) {
    const body = { name: typed.name.trim(), ae_title: typed.ae_title.trim(), address: typed.address?.trim() ?? '', charset: typed.charset ?? '' };
    if (doing?.what === 'create') await request('POST', '/api/v1/devices', { clinic: typed.clinic, ...body }, { key });
    if (doing?.what === 'change') await request('PATCH', `/api/v1/devices/${doing.device.id}`, { version: doing.device.version, ...body });
    await queries.invalidateQueries({ queryKey: KEY });
  }

  async function remove(device: Device) {
    setFault(null);
    await request('DELETE', `/api/v1/devices/${device.id}`).catch(setFault);
    await queries.invalidateQueries({ queryKey: KEY });
  }

  const columns: Column<Device>[] = [
    { key: 'name', title: t('admin:devices.name'), main: true, render: (device) => device.name },
    { key: 'clinic', title: t('admin:column.clinic'), render: (device) => nameOf(device.clinic) },
    { key: 'ae', title: t('admin:devices.ae'), render: (device) => <code>{device.ae_title}</code> },
    { key: 'address', title: t('admin:devices.address'), render: (device) => device.address || t('admin:devices.anywhere') },
    { key: 'charset', title: t('admin:devices.charset'), render: (device) => device.charset || t('admin:devices.declared') },
    { key: 'heard', title: t('admin:column.state'), render: (device) => <Heard device={device} /> },
    ...(manage
      ? [
          {
            key: 'do',
            title: '',
            render: (device: Device) => (
              <Space size={4}>
                <Button size="small" type="text" onClick={() => setDoing({ what: 'change', device })}>
                  {t('admin:change')}
                </Button>
                <Popconfirm title={t('admin:devices.sure', { name: device.name })} description={t('admin:devices.sureHelp')} okText={t('admin:remove')} cancelText={t('common:cancel')} onConfirm={() => remove(device)}>
                  <Button size="small" type="text" danger>
                    {t('admin:remove')}
                  </Button>
                </Popconfirm>
              </Space>
            ),
          },
        ]
      : []),
  ];
  const typed = (text: string) => (
    <Space>
      {text} <Copy size="small" text={text} />
    </Space>
  );
  const typedIn = connection.data
    ? [
        { key: 'ae', label: t('admin:devices.called'), children: typed(connection.data.ae_title) },
        { key: 'host', label: t('admin:devices.host'), children: typed(hostOf(connection.data)) },
        { key: 'port', label: t('admin:destinations.port'), children: connection.data.dicom_port === null ? t('admin:devices.off') : typed(String(connection.data.dicom_port)) },
        ...(connection.data.dicom_tls_port === null ? [] : [{ key: 'tls', label: t('admin:devices.tlsPort'), children: typed(String(connection.data.dicom_tls_port)) }]),
      ]
    : [];
  const create = manage && (
    <Button type="primary" icon={<PlusOutlined />} onClick={() => setDoing({ what: 'create' })}>
      {t('admin:devices.create')}
    </Button>
  );
  const device = doing?.what === 'change' ? doing.device : null;
  return (
    <div className="page">
      <PageTitle
        title={t('admin:devices.title')}
        lead={t('admin:devices.lead')}
        actions={
          <>
            <Select aria-label={t('admin:column.clinic')} placeholder={t('admin:gateways.everywhere')} allowClear showSearch={{ optionFilterProp: 'label' }} value={clinic} options={choicesOf(places)} onChange={(id: string | undefined) => setClinic(id ?? null)} style={{ minWidth: 180 }} />
            {create}
          </>
        }
      />
      {connection.isError && <Trouble error={connection.error} retry={() => void connection.refetch()} />}
      {connection.data && isLoopback(hostOf(connection.data)) && <Alert type="warning" showIcon title={t('admin:address.loopback', { host: hostOf(connection.data) })} style={{ marginBottom: 12 }} />}
      {connection.data && <Descriptions size="small" bordered column={{ xs: 1, md: typedIn.length }} title={t('admin:devices.typeIn')} items={typedIn} style={{ marginBottom: 16 }} />}
      {fault !== null && <Trouble error={fault} />}
      <DataTable label={t('admin:devices.title')} columns={columns} list={list} rowKey={(item) => item.id} empty={<Nothing text={t('admin:devices.none')}>{create}</Nothing>} />
      <EditDialog<Typed>
        open={doing !== null}
        title={device ? device.name : t('admin:devices.create')}
        explain={device ? undefined : t('admin:devices.createHelp')}
        action={device ? t('admin:save') : t('admin:create')}
        initial={device ? { clinic: device.clinic, name: device.name, ae_title: device.ae_title, address: device.address, charset: device.charset } : { ...(clinic ? { clinic } : {}), charset: '' }}
        onSend={send}
        onClose={() => setDoing(null)}
        onStale={() => void queries.invalidateQueries({ queryKey: KEY })}
      >
        <Form.Item name="clinic" label={t('admin:column.clinic')} rules={[{ required: true, message: t('admin:form.required') }]}>
          <Select disabled={device !== null} showSearch={{ optionFilterProp: 'label' }} options={choicesOf(places)} />
        </Form.Item>
        <Form.Item name="name" label={t('admin:devices.name')} rules={[{ required: true, whitespace: true, message: t('admin:form.required') }]}>
          <Input maxLength={100} placeholder={t('admin:devices.example')} />
        </Form.Item>
        <Form.Item name="ae_title" label={t('admin:devices.ae')} extra={t('admin:devices.aeHelp')} rules={[{ required: true, whitespace: true, message: t('admin:form.required') }]}>
          <Input maxLength={16} spellCheck={false} />
        </Form.Item>
        <Form.Item name="address" label={t('admin:devices.address')} extra={t('admin:devices.addressHelp')}>
          <Input maxLength={64} spellCheck={false} placeholder="192.168.1.20" />
        </Form.Item>
        <Form.Item name="charset" label={t('admin:devices.charset')} extra={t('admin:devices.charsetHelp')}>
          <Select options={[{ value: '', label: t('admin:devices.declared') }, ...CHARSETS.map((name) => ({ value: name, label: name }))]} />
        </Form.Item>
      </EditDialog>
    </div>
  );
}
