// The critical findings of a case and how far each of them has come.
import { Alert, Button } from 'antd';
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
    <Alert
      type={open ? 'error' : 'warning'}
      title={
        <span>
          {finding.stage === 'false_alarm' ? t('reader:critical.falseAlarm') : <CriticalTag critical={finding.stage} />} <strong>{findingWord(finding.code)}</strong>{' '}
          {open && <Countdown from={finding.raised_at} due={finding.due_at} />}
        </span>
      }
      description={
        <>
          <div className="case-words" style={{ margin: 0 }}>
            {finding.text}
          </div>
          <div className="quiet">{t('reader:critical.raisedBy', { name: finding.raised_by_name, at: clock(finding.raised_at) })}</div>
          {finding.read_back && (
            <div>
              {t('reader:critical.readBack', { name: finding.acknowledged_by_name ?? '', at: finding.acknowledged_at === null ? '' : clock(finding.acknowledged_at) })} {finding.read_back}
            </div>
          )}
        </>
      }
      action={
        onCallOff && (
          <Button size="small" onClick={onCallOff}>
            {t('reader:critical.callOff')}
          </Button>
        )
      }
    />
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
