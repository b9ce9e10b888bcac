// The critical findings of a case and how far each of them has come.
import { Button } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { newKey } from '@/api/request';
import { ConfirmText } from '@/shared/ConfirmText';
import { Countdown } from '@/shared/Countdown';
import { CriticalTag } from '@/shared/StageTag';
import { clock } from '@/shared/time';
import { findingWord } from '@/shared/words';

import { callOff, type Finding } from '../api';
import { refreshCase, useFindings } from './useCase';

function Line({ finding, onCallOff }: { finding: Finding; onCallOff: (() => void) | null }) {
  const { t } = useTranslation('reader');
  const open = finding.stage === 'notifying';
  return (
    <div className={open ? 'case-finding open' : 'case-finding'} role={open ? 'alert' : undefined}>
      {finding.stage === 'false_alarm' ? <span className="tag">{t('reader:critical.falseAlarm')}</span> : <CriticalTag critical={finding.stage} />}
      <strong>{findingWord(finding.code)}</strong>
      <span className="case-finding-text">{finding.text}</span>
      {open && <Countdown from={finding.raised_at} due={finding.due_at} />}
      {finding.read_back && (
        <span className="case-finding-text">
          {t('reader:critical.readBack', { name: finding.acknowledged_by_name ?? '', at: finding.acknowledged_at === null ? '' : clock(finding.acknowledged_at) })} {finding.read_back}
        </span>
      )}
      <span className="quiet">{t('reader:critical.raisedBy', { name: finding.raised_by_name, at: clock(finding.raised_at) })}</span>
      {onCallOff && (
        <Button size="small" onClick={onCallOff}>
          {t('reader:critical.callOff')}
        </Button>
      )}
    </div>
  );
}

export function Findings({ id, may }: { id: string; may: boolean }) {
  const { t } = useTranslation('reader');
  const { data } = useFindings(id);
  const [calling, setCalling] = useState<{ finding: Finding; key: string } | null>(null);
  return (
    <>
      {(data ?? []).map((finding) => (
        <Line
          key={finding.id}
          finding={finding}
          onCallOff={may && (finding.stage === 'notifying' || finding.stage === 'acknowledged') ? () => setCalling({ finding, key: newKey() }) : null}
        />
      ))}
      <ConfirmText
        open={calling !== null}
        title={t('reader:critical.callOff')}
        explain={t('reader:critical.callOffExplain')}
        label={t('reader:critical.callOffReason')}
        action={t('reader:critical.callOff')}
        danger
        onDone={async (reason) => {
          if (!calling) return;
          await callOff(calling.finding.id, reason, calling.key);
          refreshCase(id);
        }}
        onClose={() => setCalling(null)}
      />
    </>
  );
}
