// Critical findings at the clinic: they stand above everything until somebody has read them back and said what was done.
import { BellFilled, MedicineBoxOutlined } from '@ant-design/icons';
import { useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Alert, Button, Form, Input, Modal, Radio, Space } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { newKey, request } from '@/api/request';
import { has, useMe } from '@/app/session';
import { PatientName } from '@/shared/PatientName';
import { clock } from '@/shared/time';
import { Trouble } from '@/shared/Trouble';
import { findingWord } from '@/shared/words';

import { useOpenFindings, type Finding } from './data';

const DISPOSITIONS = ['observe', 'treat', 'refer', 'emergency'] as const;

/** Every open finding of the clinic, or of one case. */
export function Findings({ of }: { of?: string }) {
  const me = useMe();
  const here = has(me, 'clinic_doctor', 'technician');
  const open = useOpenFindings(here);
  const shown = open.data?.filter((finding) => of === undefined || finding.case === of) ?? [];
  return (
    <Space orientation="vertical" style={{ width: '100%' }}>
      {shown.map((finding) => (
        <OpenFinding key={finding.id} finding={finding} linked={of === undefined} />
      ))}
    </Space>
  );
}

function OpenFinding({ finding, linked }: { finding: Finding; linked: boolean }) {
  const { t } = useTranslation('clinic');
  const [asking, setAsking] = useState(false);
  const loud = finding.stage === 'notifying';
  const name = <PatientName name={finding.patient} />;
  return (
    <>
      <Alert
        role="alert"
        type={loud ? 'error' : 'warning'}
        showIcon
        icon={loud ? <BellFilled /> : <MedicineBoxOutlined />}
        title={
          <strong>
            {loud ? t('clinic:finding.readBackNow') : t('clinic:finding.actNow')} · {name} · {findingWord(finding.code)}
          </strong>
        }
        description={
          <>
            <p style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere', margin: '4px 0' }}>{finding.text}</p>
            <small>
              {t('clinic:finding.by', { name: finding.raised_by_name, at: clock(finding.raised_at), due: clock(finding.due_at) })}
              {linked && (
                <>
                  {' · '}
                  <Link to={`/reports/${finding.case}` as string}>{t('clinic:finding.open')}</Link>
                </>
              )}
            </small>
            <Button danger={loud} type="primary" className="clinic-finding-do" onClick={() => setAsking(true)}>
              {loud ? t('clinic:finding.readBack') : t('clinic:finding.settle')}
            </Button>
          </>
        }
      />
      {asking && (loud ? <ReadBack finding={finding} done={() => setAsking(false)} /> : <Settle finding={finding} done={() => setAsking(false)} />)}
    </>
  );
}

/** Sends one answer to a finding; what failed is shown, what was typed stays. */
function useAnswer(done: () => void) {
  const cache = useQueryClient();
  const [fault, setFault] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const [key] = useState(newKey);
  async function answer(path: string, body: unknown) {
    setBusy(true);
    setFault(null);
    try {
      await request('POST', path, body, { key });
      await cache.invalidateQueries({ queryKey: ['clinic'] });
      done();
    } catch (error) {
      setFault(error);
    } finally {
      setBusy(false);
    }
  }
  return { answer, fault, busy };
}

function ReadBack({ finding, done }: { finding: Finding; done: () => void }) {
  const { t } = useTranslation('clinic');
  const { answer, fault, busy } = useAnswer(done);
  const [form] = Form.useForm<{ read_back: string }>();
  return (
    <Modal
      open
      title={t('clinic:finding.readBack')}
      okText={t('clinic:finding.confirm')}
      okButtonProps={{ loading: busy, danger: true }}
      onOk={() => form.submit()}
      onCancel={done}
      mask={{ closable: false }}
    >
      <p style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
        <PatientName name={finding.patient} /> · <strong>{findingWord(finding.code)}</strong>
        {finding.text !== '' && `\n${finding.text}`}
      </p>
      <Form form={form} layout="vertical" onFinish={(typed) => void answer(`/api/v1/findings/${finding.id}/acknowledge`, typed)}>
        <Form.Item
          name="read_back"
          label={t('clinic:finding.readBackLabel')}
          extra={t('clinic:finding.readBackHelp')}
          rules={[{ required: true, min: 4, whitespace: true, message: t('clinic:finding.readBackRule') }]}
        >
          <Input.TextArea rows={4} autoFocus maxLength={1000} />
        </Form.Item>
      </Form>
      {fault !== null && <Trouble error={fault} />}
    </Modal>
  );
}

function Settle({ finding, done }: { finding: Finding; done: () => void }) {
  const { t } = useTranslation('clinic');
  const { answer, fault, busy } = useAnswer(done);
  const [form] = Form.useForm<{ disposition: string; text: string }>();
  return (
    <Modal open title={t('clinic:finding.settle')} okText={t('clinic:finding.send')} okButtonProps={{ loading: busy }} onOk={() => form.submit()} onCancel={done} mask={{ closable: false }}>
      <Form
        form={form}
        layout="vertical"
        initialValues={{ text: '' }}
        onFinish={(typed) => void answer(`/api/v1/findings/${finding.id}/settle`, typed)}
      >
        <Form.Item name="disposition" label={t('clinic:finding.disposition')} rules={[{ required: true, message: t('clinic:finding.dispositionRule') }]}>
          <Radio.Group options={DISPOSITIONS.map((value) => ({ value, label: t(`clinic:disposition.${value}`) }))} />
        </Form.Item>
        <Form.Item name="text" label={t('clinic:finding.text')}>
          <Input.TextArea rows={3} maxLength={1000} />
        </Form.Item>
      </Form>
      {fault !== null && <Trouble error={fault} />}
    </Modal>
  );
}
