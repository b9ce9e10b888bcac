// Templates: put one into the report by click or Alt+1..9, keep what is written as one of one's own.
import { SnippetsOutlined } from '@ant-design/icons';
import { Alert, Button, Dropdown, Form, Input, Modal, Radio } from 'antd';
import { useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { newKey } from '@/api/request';
import { queries } from '@/app/queries';
import { placesOf, useMe } from '@/app/session';
import { plainWords } from '@/shared/Trouble';

import { addTemplate, type Template, type Writing } from '../api';

interface Props {
  templates: readonly Template[];
  text: Writing;
  modality: string;
  bodyPart: string | null;
  disabled: boolean;
  onUse: (template: Template) => void;
}

interface Typed {
  kind: Template['kind'];
  name: string;
  shortcut: string;
}

function SaveOwn({ text, modality, bodyPart, open, onClose }: Pick<Props, 'text' | 'modality' | 'bodyPart'> & { open: boolean; onClose: () => void }) {
  const { t } = useTranslation('reader');
  const me = useMe();
  const [form] = Form.useForm<Typed>();
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const key = useRef(newKey());

  async function keep(typed: Typed) {
    const organization = placesOf(me, 'reporter', 'verifier', 'coordinator')[0];
    if (!organization) return;
    setBusy(true);
    setFault(null);
    try {
      const about = { organization, own: true, kind: typed.kind, name: typed.name, shortcut: typed.shortcut ?? '', modality, body_part: typed.kind === 'template' ? (bodyPart ?? '') : '' };
      await addTemplate({ ...about, ...text }, key.current);
      key.current = newKey();
      await queries.invalidateQueries({ queryKey: ['templates'] });
      form.resetFields();
      onClose();
    } catch (error) {
      setFault(plainWords(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <Modal open={open} title={t('reader:template.saveOwn')} okText={t('reader:filter.keep')} confirmLoading={busy} onOk={() => form.submit()} onCancel={onClose} mask={{ closable: false }} destroyOnHidden>
      <p>{t('reader:template.noPatient')}</p>
      <Form form={form} layout="vertical" initialValues={{ kind: 'template', shortcut: '' }} onFinish={(typed: Typed) => void keep(typed)}>
        <Form.Item name="kind" label={t('reader:template.kind')}>
          <Radio.Group options={(['template', 'phrase'] as const).map((value) => ({ value, label: t(`reader:template.${value}`) }))} />
        </Form.Item>
        <Form.Item name="name" label={t('reader:filter.name')} rules={[{ required: true }]}>
          <Input maxLength={60} autoFocus />
        </Form.Item>
        <Form.Item name="shortcut" label={t('reader:template.shortcut')} rules={[{ pattern: /^[\p{L}\p{N}_-]{0,32}$/u, message: t('reader:template.shortcutRule') }]}>
          <Input maxLength={32} prefix="#" />
        </Form.Item>
      </Form>
      {fault && <Alert type="error" showIcon title={fault} />}
    </Modal>
  );
}

export function TemplateMenu({ templates, text, modality, bodyPart, disabled, onUse }: Props) {
  const { t } = useTranslation('reader');
  const [saving, setSaving] = useState(false);
  const items = [
    ...templates.slice(0, 30).map((template, index) => ({
      key: template.id,
      label: template.name,
      extra: index < 9 ? `Alt+${index + 1}` : undefined,
      onClick: () => onUse(template),
    })),
    ...(templates.length === 0 ? [{ key: 'none', label: t('reader:template.none'), disabled: true }] : []),
    { type: 'divider' as const },
    { key: 'own', label: t('reader:template.saveOwn'), onClick: () => setSaving(true) },
  ];
  return (
    <>
      <Dropdown menu={{ items, style: { maxHeight: '60dvh', overflow: 'auto' } }} trigger={['click']} disabled={disabled}>
        <Button size="small" icon={<SnippetsOutlined aria-hidden />}>
          {t('reader:template.menu')}
        </Button>
      </Dropdown>
      <SaveOwn open={saving} text={text} modality={modality} bodyPart={bodyPart} onClose={() => setSaving(false)} />
    </>
  );
}
