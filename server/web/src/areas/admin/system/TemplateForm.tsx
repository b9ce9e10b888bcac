// The form of a text for reports.
import { Form, Input, Radio, Select } from 'antd';
import { useTranslation } from 'react-i18next';

import { EditDialog } from '../parts/EditDialog';
import { choicesOf, usePlaces } from '../parts/places';
import type { Template, TemplateTyped } from './templates';

interface Props {
  open: boolean;
  kind: 'template' | 'phrase';
  template: Template | null;
  /** The organization that stands there at first. */
  home: string;
  onSend: (typed: TemplateTyped, key: string) => Promise<void>;
  onClose: () => void;
  onStale: () => void;
}

const PARTS = ['findings', 'impression', 'recommendation'] as const;

export function TemplateForm({ open, kind, template, home, onSend, onClose, onStale }: Props) {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const { places } = usePlaces();
  const centres = places.filter((place) => place.kind === 'lead_hospital' || place.kind === 'county_hospital' || place.id === home);
  const initial: Partial<TemplateTyped> = template
    ? { ...template, own: template.person !== null }
    : { organization: home, own: false };
  const clean = (typed: TemplateTyped): TemplateTyped => ({
    ...typed,
    name: typed.name.trim(),
    shortcut: (typed.shortcut ?? '').trim().replace(/^#/, ''),
    modality: (typed.modality ?? '').trim().toUpperCase(),
    body_part: (typed.body_part ?? '').trim(),
    findings: typed.findings ?? '',
    impression: typed.impression ?? '',
    recommendation: typed.recommendation ?? '',
  });
  return (
    <EditDialog<TemplateTyped>
      open={open}
      title={template ? template.name : t(`admin:templates.create.${kind}`)}
      action={t('admin:save')}
      initial={initial}
      onSend={(typed, key) => onSend(clean(typed), key)}
      onClose={onClose}
      onStale={onStale}
      width={680}
    >
      {!template && (
        <>
          <Form.Item name="organization" label={t('admin:column.organization')} rules={[{ required: true, message: t('admin:form.required') }]}>
            <Select options={choicesOf(centres)} />
          </Form.Item>
          <Form.Item name="own" label={t('admin:templates.whose')}>
            <Radio.Group options={[{ value: false, label: t('admin:templates.everybody') }, { value: true, label: t('admin:templates.own') }]} />
          </Form.Item>
        </>
      )}
      <Form.Item name="name" label={t('admin:templates.name')} rules={[{ required: true, whitespace: true, message: t('admin:form.required') }]}>
        <Input maxLength={100} />
      </Form.Item>
      <div style={{ display: 'grid', gap: '0 12px', gridTemplateColumns: 'repeat(auto-fit, minmax(150px, 1fr))' }}>
        <Form.Item name="shortcut" label={t('admin:templates.shortcut')} extra={t('admin:templates.shortcutHelp')}>
          <Input maxLength={33} prefix="#" spellCheck={false} />
        </Form.Item>
        <Form.Item name="modality" label={t('admin:templates.modality')} extra={t('admin:templates.any')}>
          <Input maxLength={16} spellCheck={false} placeholder="CT" />
        </Form.Item>
        <Form.Item name="body_part" label={t('admin:templates.part')} extra={t('admin:templates.any')}>
          <Input maxLength={64} />
        </Form.Item>
      </div>
      {PARTS.filter((part) => kind === 'template' || part === 'findings').map((part) => (
        <Form.Item
          key={part}
          name={part}
          label={kind === 'phrase' ? t('admin:templates.text') : t(`admin:templates.part_${part}`)}
          rules={kind === 'phrase' ? [{ required: true, whitespace: true, message: t('admin:form.required') }] : []}
        >
          <Input.TextArea autoSize={{ minRows: part === 'findings' ? 5 : 2, maxRows: 16 }} maxLength={20_000} />
        </Form.Item>
      ))}
    </EditDialog>
  );
}
