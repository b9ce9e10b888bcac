// The last look before signing: what is to be checked again, whether there is a critical finding, and the report as it will be printed.
import { WarningOutlined } from '@ant-design/icons';
import { Alert, Checkbox, Modal, Radio } from 'antd';
import { useState, type KeyboardEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { useFirstField } from '@/shared/focus';

import type { CaseDetail, Writing } from '../api';
import type { Warning } from './checks';
import { Paper } from './Paper';

export type Critical = 'yes' | 'no' | null;

interface Props {
  open: boolean;
  detail: CaseDetail;
  text: Writing;
  warnings: readonly Warning[];
  critical: Critical;
  /** A critical finding has been raised already. */
  raised: boolean;
  /** How much of the images has been on a screen, in hundredths; `null` where there are none. */
  seen: number | null;
  names: { reporter: string; verifier: string | null };
  next: boolean;
  busy: boolean;
  fault: string | null;
  onCritical: (critical: Critical) => void;
  onRaise: () => void;
  onSign: () => void;
  onClose: () => void;
}

/** What a warning says. */
export function useWarningWords(): (warning: Warning) => string {
  const { t } = useTranslation('reader');
  const side = (which: 'left' | 'right') => t(`reader:side.${which}`);
  const section = (name: Warning extends { section: infer S } ? S : string) => t(`reader:section.${String(name)}`);
  return (warning) => {
    switch (warning.kind) {
      case 'empty':
        return t('reader:warn.empty', { section: section(warning.section) });
      case 'side':
        return t('reader:warn.side', { section: section(warning.section), found: side(warning.found), asked: side(warning.asked) });
      case 'sidesDiffer':
        return t('reader:warn.sidesDiffer', { findings: side(warning.findings), impression: side(warning.impression) });
      case 'sex':
        return t('reader:warn.sex', { section: section(warning.section), word: warning.word, sex: t(`shared:sex.${warning.sex}`) });
      case 'placeholder':
        return t('reader:warn.placeholder', { section: section(warning.section), word: warning.word });
      default:
        return t('reader:warn.shortcut', { section: section(warning.section), word: warning.word });
    }
  };
}

export function SignDialog({ open, detail, text, warnings, critical, raised, seen: shown, names, next, busy, fault, onCritical, onRaise, onSign, onClose }: Props) {
  const { t } = useTranslation('reader');
  const words = useWarningWords();
  const [seen, setSeen] = useState(false);
  const empty = warnings.some((warning) => warning.kind === 'empty' && warning.section === 'impression');
  const needs = (warnings.length > 0 && !seen) || critical === null || empty;
  const raise = critical === 'yes' && !raised;
  const { body, afterOpenChange } = useFirstField();
  const pressed = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || !event.ctrlKey || event.nativeEvent.isComposing || busy) return;
    event.preventDefault();
    if (raise) onRaise();
    else if (!needs) onSign();
  };
  return (
    <Modal
      open={open}
      title={t('reader:sign.title')}
      width={760}
      okText={raise ? t('reader:critical.raise') : next ? t('reader:sign.next') : t('reader:sign.sign')}
      okButtonProps={{ disabled: needs && !raise }}
      confirmLoading={busy}
      onOk={raise ? onRaise : onSign}
      onCancel={onClose}
      mask={{ closable: false }}
      afterOpenChange={afterOpenChange}
      afterClose={() => setSeen(false)}
      destroyOnHidden
    >
      <div className="report" ref={body} onKeyDown={pressed}>
        {warnings.length > 0 && (
          <Alert
            type="warning"
            title={t('reader:sign.check')}
            description={
              <>
                <ul style={{ margin: '0 0 8px', paddingInlineStart: 20 }}>
                  {warnings.map((warning) => (
                    <li key={JSON.stringify(warning)}>
                      <WarningOutlined aria-hidden /> {words(warning)}
                    </li>
                  ))}
                </ul>
                {!empty && (
                  <Checkbox checked={seen} onChange={(event) => setSeen(event.target.checked)}>
                    {t('reader:sign.seen')}
                  </Checkbox>
                )}
              </>
            }
          />
        )}
        <div role="group" aria-label={t('reader:critical.question')}>
          <strong>{t('reader:critical.question')}</strong>{' '}
          <Radio.Group value={critical} onChange={(event) => onCritical(event.target.value as Critical)}>
            <Radio value="no">{t('reader:critical.no')}</Radio>
            <Radio value="yes">{t('reader:critical.yes')}</Radio>
          </Radio.Group>
          {raise && <div className="countdown-late">{t('reader:critical.first')}</div>}
        </div>
        {shown !== null && shown < 100 && (
          <div className="quiet">
            <WarningOutlined aria-hidden /> {t('reader:sign.notAllSeen', { share: shown })}
          </div>
        )}
        {fault && <Alert type="error" showIcon title={fault} />}
        <Paper detail={detail} text={text} reporter={names.reporter} verifier={names.verifier} />
      </div>
    </Modal>
  );
}
