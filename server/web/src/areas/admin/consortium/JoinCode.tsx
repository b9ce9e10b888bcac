// A code with which a gateway joins, shown once: to read out, as a QR code and as the line to type; it turns green when it has worked.
import { CheckCircleFilled, LoadingOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Alert, Button, Form, Input, InputNumber, Modal } from 'antd';
import { useCallback, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { request } from '@/api/request';
import { useHappened } from '@/app/live';
import { queries } from '@/app/queries';
import { Copy } from '@/shared/Copy';
import { QrCode } from '@/shared/QrCode';
import { now } from '@/shared/time';
import { useTicking } from '@/shared/ticking';
import { plainWords, Trouble } from '@/shared/Trouble';

import { useIntention } from '../parts/keys';
import type { Page } from '../parts/paged';
import type { Place } from '../parts/places';
import { hostOf, isLoopback, joinAddress, useConnection } from './address';
import type { Gateway } from './gateway';

interface Code {
  code: string;
  handle: string;
  name: string;
  expires_at: number;
  created_at: number;
}

function Countdown({ until }: { until: number }) {
  const { t } = useTranslation(['admin', 'common']);
  const left = Number(useTicking(() => String(Math.max(0, Math.ceil((until - now()) / 1_000_000)))));
  if (left === 0) return <Alert type="warning" showIcon title={t('admin:join.over')} />;
  const clock = `${String(Math.floor(left / 60)).padStart(2, '0')}:${String(left % 60).padStart(2, '0')}`;
  return <span role="timer">{t('admin:join.left', { clock })}</span>;
}

function Shown({ code, clinic }: { code: Code; clinic: Place }) {
  const { t } = useTranslation(['admin', 'common']);
  const [joined, setJoined] = useState<Gateway | null>(null);
  const connection = useConnection();
  const command = connection.data ? `medrelay-gateway join ${joinAddress(connection.data)} ${code.code}` : '';
  const gateways = useQuery({
    queryKey: ['gateways', 'joining', clinic.id],
    queryFn: () => request<Page<Gateway>>('GET', '/api/v1/gateways', undefined, { query: { clinic: clinic.id, limit: 200 } }),
    refetchInterval: joined ? false : 4_000,
  });
  useHappened(
    ['gateway_joined'],
    useCallback(() => void queries.invalidateQueries({ queryKey: ['gateways'] }), []),
  );
  const fresh = gateways.data?.items.find((gateway) => gateway.joined_at >= code.created_at);
  useEffect(() => {
    if (fresh) setJoined(fresh);
  }, [fresh]);
  if (joined) {
    return (
      <div role="status" style={{ textAlign: 'center', padding: 16 }}>
        <CheckCircleFilled className="state-good" style={{ fontSize: 48 }} aria-hidden />
        <p style={{ fontSize: 16 }}>{t('admin:join.joined', { name: joined.name, clinic: clinic.name })}</p>
        <p className="quiet">{t('admin:join.next')}</p>
      </div>
    );
  }
  return (
    <>
      <Alert type="warning" showIcon title={t('admin:join.once')} style={{ marginBottom: 12 }} />
      {connection.data && isLoopback(hostOf(connection.data)) && <Alert type="warning" showIcon title={t('admin:address.loopback', { host: hostOf(connection.data) })} style={{ marginBottom: 12 }} />}
      <ol style={{ paddingInlineStart: 20 }}>
        <li>{t('admin:join.step1')}</li>
        <li>
          {t('admin:join.step2')}
          {connection.isError && <Trouble error={connection.error} retry={() => void connection.refetch()} />}
          {command !== '' && (
            <>
              <span className="code-line">{command}</span>
              <Copy text={command} size="small" />
            </>
          )}
        </li>
        <li>{t('admin:join.step3')}</li>
      </ol>
      <div style={{ display: 'flex', flexWrap: 'wrap', gap: 16, alignItems: 'center' }}>
        <QrCode text={command || code.code} label={t('admin:join.qr')} size={180} />
        <div style={{ flex: '1 1 220px' }}>
          <div className="quiet">{t('admin:join.code')}</div>
          <span className="code-line" style={{ fontSize: 16 }}>
            {code.code}
          </span>
          <Copy text={code.code} size="small" />
          <p>
            <Countdown until={code.expires_at} />
          </p>
          <p role="status">
            <LoadingOutlined aria-hidden /> {t('admin:join.waiting')}
          </p>
        </div>
      </div>
    </>
  );
}

export function JoinCode({ clinic, onClose }: { clinic: Place | null; onClose: () => void }) {
  const { t } = useTranslation(['admin', 'common']);
  const [code, setCode] = useState<Code | null>(null);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const intention = useIntention();

  function close() {
    setCode(null);
    setFault(null);
    intention.spent();
    onClose();
  }

  async function make(typed: { name?: string; minutes: number }) {
    if (!clinic) return;
    setBusy(true);
    setFault(null);
    const body = { name: typed.name?.trim() ?? '', minutes: typed.minutes };
    try {
      setCode(await request<Code>('POST', `/api/v1/clinics/${clinic.id}/join-codes`, body, { key: intention.keyFor(body) }));
      await queries.invalidateQueries({ queryKey: ['join-codes'] });
    } catch (error) {
      setFault(plainWords(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <Modal open={clinic !== null} title={clinic ? t('admin:join.title', { clinic: clinic.name }) : ''} footer={null} width={600} mask={{ closable: false }} destroyOnHidden onCancel={close}>
      {clinic && code && <Shown code={code} clinic={clinic} />}
      {clinic && !code && (
        <Form layout="vertical" initialValues={{ minutes: 60 }} onFinish={(typed: { name?: string; minutes: number }) => void make(typed)}>
          <p>{t('admin:join.lead')}</p>
          <Form.Item name="name" label={t('admin:join.name')} extra={t('admin:join.nameHelp')}>
            <Input maxLength={100} autoFocus />
          </Form.Item>
          <Form.Item name="minutes" label={t('admin:join.minutes')} rules={[{ required: true, message: t('admin:form.required') }]}>
            <InputNumber min={1} max={1440} precision={0} />
          </Form.Item>
          {fault && <Alert role="alert" type="error" showIcon title={fault} style={{ marginBottom: 12 }} />}
          <Button type="primary" htmlType="submit" loading={busy}>
            {t('admin:join.make')}
          </Button>
        </Form>
      )}
    </Modal>
  );
}
