// Sending studies: what is dropped becomes cards, nothing goes before it is confirmed, and what goes is shown until it is safe.
import { Alert, Button, Typography } from 'antd';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { ask, isOpen, startUpload, takeDrop, useUpload } from '@/upload';

import { StudyCard } from './StudyCard';
import { tie } from './tying';
import { UploadDrop } from './UploadDrop';
import { UploadProgress } from './UploadProgress';
import { UploadSkipped } from './UploadSkipped';
import { bytesText } from './words';

import './upload.css';

/** So many studies show their forms at once. */
const FEW = 2;

/** The whole page takes what is dropped; says whether something is over it. */
function useDropping(): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    let depth = 0;
    const holdsFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
    const enter = (event: DragEvent) => {
      if (!holdsFiles(event)) return;
      depth += 1;
      setOver(true);
    };
    const leave = () => {
      depth = Math.max(0, depth - 1);
      if (depth === 0) setOver(false);
    };
    const hover = (event: DragEvent) => {
      if (holdsFiles(event)) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      depth = 0;
      setOver(false);
      if (!event.dataTransfer || !holdsFiles(event)) return;
      event.preventDefault();
      void takeDrop(event.dataTransfer);
    };
    const calls = { dragenter: enter, dragleave: leave, dragover: hover, drop } as const;
    for (const [name, call] of Object.entries(calls)) window.addEventListener(name as keyof typeof calls, call);
    return () => {
      for (const [name, call] of Object.entries(calls)) window.removeEventListener(name as keyof typeof calls, call);
    };
  }, []);
  return over;
}

/** The browser asks before the page is closed while something would be lost by it. */
function useGuard(needed: boolean): void {
  useEffect(() => {
    if (!needed) return;
    const guard = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener('beforeunload', guard);
    return () => window.removeEventListener('beforeunload', guard);
  }, [needed]);
}

export function UploadPage() {
  const { t } = useTranslation('technician');
  const { taking, drafts, sending, skipped, line, limits } = useUpload();
  const over = useDropping();
  useEffect(startUpload, []);
  useGuard(taking !== null || drafts.length > 0 || sending.some((one) => isOpen(one) && !one.kept));

  const arrived = sending.filter((one) => one.state === 'committed').map((one) => one.card.uid).join(' ');
  useEffect(() => {
    for (const study of arrived.split(' ')) void tie(study).catch(() => undefined);
  }, [arrived]);

  const open = sending.filter(isOpen).length;
  const empty = drafts.length === 0 && sending.length === 0 && !taking;
  const troubled = line === 'broken' || line === 'signedOut' || line === 'notAllowed' || line === 'closed' || line === 'incompatible';
  return (
    <div className="upload-page">
      <Typography.Title level={1} className="upload-title">
        {t('technician:upload.title')}
      </Typography.Title>
      {troubled && (open > 0 || line !== 'broken') && <Alert role="alert" type={line === 'broken' ? 'warning' : 'error'} showIcon title={t(`technician:line.${line}`)} />}
      <UploadDrop over={over} large={empty} />
      {limits && empty && (
        <p className="quiet upload-limits">{t('technician:upload.limits', { entries: limits.entries, bytes: bytesText(limits.instanceBytes) })}</p>
      )}
      {taking && (
        <Alert
          type="info"
          showIcon
          title={<span aria-live="polite">{t('technician:upload.taking', { files: taking.files, images: taking.images })}</span>}
          action={<Button onClick={() => ask({ ask: 'stopTaking' })}>{t('technician:upload.stopTaking')}</Button>}
        />
      )}
      {skipped.length > 0 && <UploadSkipped skipped={skipped} />}
      {drafts.length > 0 && (
        <section aria-labelledby="upload-drafts">
          <h2 id="upload-drafts">{t('technician:upload.drafts', { count: drafts.length })}</h2>
          <p className="quiet">{t('technician:upload.draftsExplain')}</p>
          {drafts.map((draft) => (
            <StudyCard key={draft.key} draft={draft} few={drafts.length <= FEW} />
          ))}
        </section>
      )}
      {sending.length > 0 && (
        <section aria-labelledby="upload-sending">
          <h2 id="upload-sending">{open > 0 ? t('technician:upload.sending', { count: open }) : t('technician:upload.sent')}</h2>
          {sending.map((one) => (
            <UploadProgress key={one.id} sending={one} line={line} />
          ))}
          <p className="quiet">{t('technician:upload.signOutWipes')}</p>
        </section>
      )}
    </div>
  );
}
