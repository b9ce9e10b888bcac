// Writing the report: three sections, templates and phrases, what is saved, and signing.
import { CheckOutlined, ForwardOutlined } from '@ant-design/icons';
import { Button, Tooltip } from 'antd';
import { forwardRef, useImperativeHandle, useRef, useSyncExternalStore } from 'react';
import { useTranslation } from 'react-i18next';

import type { Template } from '../api';
import { Field, type FieldHandle } from './Field';
import type { Keeper } from './keeper';
import { withTemplate } from './phrases';
import { Saved } from './Saved';
import { TemplateMenu } from './TemplateMenu';
import { usePhrases, useTemplates } from './useTemplates';

export interface EditorHandle {
  focus: () => void;
  /** Puts the template with a number (from 0) in. */
  template: (index: number) => void;
}

interface Props {
  keeper: Keeper;
  modality: string;
  bodyPart: string | null;
  readOnly: boolean;
  /** Whether signing makes a preliminary report that another one verifies. */
  preliminary: boolean;
  busy: boolean;
  onSign: (next: boolean) => void;
}

export const Editor = forwardRef<EditorHandle, Props>(function Editor({ keeper, modality, bodyPart, readOnly, preliminary, busy, onSign }, handle) {
  const { t } = useTranslation('reader');
  const shown = useSyncExternalStore(keeper.follow, keeper.now);
  const templates = useTemplates(modality, bodyPart);
  const phrases = usePhrases(modality, bodyPart);
  const first = useRef<FieldHandle>(null);
  const use = (template: Template | undefined) => {
    if (template && !readOnly) keeper.replace(withTemplate(keeper.now().text, template));
  };
  useImperativeHandle(handle, () => ({ focus: () => first.current?.focus(), template: (index) => use(templates[index]) }));
  const common = { readOnly, phrases };
  return (
    <div className="report">
      <div className="report-tools">
        <TemplateMenu templates={templates} text={shown.text} modality={modality} bodyPart={bodyPart} disabled={readOnly} onUse={use} />
        <span className="quiet">{t('reader:phrase.hint')}</span>
        <span className="case-space" />
        <Saved shown={shown} keeper={keeper} />
      </div>
      <Field ref={first} section="findings" size="large" text={shown.text.findings} onText={(text) => keeper.write('findings', text)} {...common} />
      <Field section="impression" size="middle" text={shown.text.impression} onText={(text) => keeper.write('impression', text)} {...common} />
      <Field section="recommendation" size="small" text={shown.text.recommendation} onText={(text) => keeper.write('recommendation', text)} {...common} />
      {!readOnly && (
        <div className="report-end">
          <Tooltip title="Ctrl+Enter">
            <Button type="primary" icon={<ForwardOutlined aria-hidden />} loading={busy} aria-keyshortcuts="Control+Enter" onClick={() => onSign(true)}>
              {t('reader:sign.next')}
            </Button>
          </Tooltip>
          <Button icon={<CheckOutlined aria-hidden />} disabled={busy} onClick={() => onSign(false)}>
            {t('reader:sign.sign')}
          </Button>
          {preliminary && <span className="quiet">{t('reader:sign.preliminary')}</span>}
        </div>
      )}
    </div>
  );
});
