// One study under way: how far, how fast, how long yet, whether the page may be closed, and what went wrong.
import { CaretRightOutlined, CheckCircleFilled, CloseOutlined, FolderOpenOutlined, PauseOutlined, ProfileOutlined, RedoOutlined } from '@ant-design/icons';
import { useNavigate } from '@tanstack/react-router';
import { Alert, App, Button, Progress, Select } from 'antd';
import { useTranslation } from 'react-i18next';

import { PriorityTag } from '@/shared/PriorityTag';
import { moment } from '@/shared/time';
import { ask, permit, type Sending, type Snapshot } from '@/upload';

import { StudyHead } from './StudyHead';
import { UploadFaults } from './UploadFaults';
import { bytesText, leftText } from './words';

const PRIORITIES = ['stat', 'urgent', 'routine'] as const;
const RUNNING = ['hashing', 'waiting', 'sending', 'checking', 'finding', 'elsewhere'];

/** Whether the page may be closed: true only when everything is at the relay and read back. */
function safety(sending: Sending): string {
  if (sending.state === 'committed') return 'done';
  if (!sending.kept) return 'lost';
  return sending.byItself ? 'byItself' : 'again';
}

export function UploadProgress({ sending, line }: { sending: Sending; line: Snapshot['line'] }) {
  const { t } = useTranslation('technician');
  const { modal } = App.useApp();
  const navigate = useNavigate();
  const { id, state, there, entries, bytesThere, bytes, hashed } = sending;
  const done = state === 'committed';
  // Before the relay was asked nobody knows how far the study is.
  const unknown = state === 'needsPermission' || state === 'needsFiles' || state === 'finding' || state === 'elsewhere';
  const share = state === 'hashing' ? hashed / Math.max(1, entries) : bytes > 0 ? bytesThere / bytes : 0;
  const percent = done ? 100 : Math.min(99, Math.floor(share * 100));
  const shown = state === 'waiting' && line === 'broken' ? 'reconnecting' : state === 'sending' && line === 'broken' ? 'reconnecting' : state;
  const cancel = () =>
    void modal.confirm({
      title: t('technician:progress.cancelTitle'),
      content: t('technician:progress.cancelExplain'),
      okText: t('technician:progress.cancel'),
      okButtonProps: { danger: true },
      cancelText: t('technician:progress.keep'),
      onOk: () => ask({ ask: 'cancel', id }),
    });
  return (
    <article className={`study-card${done ? ' study-done' : ''}`} aria-label={t('technician:study.card')}>
      <div className="progress-top">
        {done && <CheckCircleFilled aria-hidden className="progress-check" />}
        <StudyHead card={sending.card} />
        <PriorityTag priority={PRIORITIES[sending.urgency]} />
      </div>
      <Progress percent={percent} showInfo={!unknown} status={done ? 'success' : state === 'failed' ? 'exception' : state === 'paused' ? 'normal' : 'active'} aria-label={t('technician:progress.bar')} />
      <div className="progress-numbers">
        <strong aria-live="polite">{t(`technician:state.${shown}`)}</strong>
        {!done && !unknown && state !== 'hashing' && <span>{t('technician:progress.sent', { sent: bytesText(bytesThere), all: bytesText(bytes) })}</span>}
        {!unknown && <span>{state === 'hashing' ? t('technician:progress.hashed', { hashed, entries }) : t('technician:progress.images', { there, entries })}</span>}
        {sending.speed !== null && <span>{t('technician:progress.speed', { speed: bytesText(sending.speed) })}</span>}
        {sending.secondsLeft !== null && <span>{leftText(sending.secondsLeft)}</span>}
        {sending.committedAt !== null && <span>{moment(sending.committedAt * 1_000)}</span>}
      </div>
      <p className={done ? 'progress-safe' : 'quiet'}>{t(`technician:safe.${safety(sending)}`)}</p>
      {state === 'needsPermission' && (
        <Alert
          type="warning"
          showIcon
          title={t('technician:progress.permission')}
          action={
            <Button type="primary" icon={<CaretRightOutlined />} onClick={() => void permit(sending)}>
              {t('technician:progress.permit')}
            </Button>
          }
        />
      )}
      {state === 'needsFiles' && <Alert type="warning" showIcon icon={<FolderOpenOutlined />} title={t('technician:progress.files')} />}
      <UploadFaults sending={sending} />
      <div className="progress-foot">
        {RUNNING.includes(state) && (
          <Button icon={<PauseOutlined />} onClick={() => ask({ ask: 'pause', id })}>
            {t('technician:progress.pause')}
          </Button>
        )}
        {state === 'paused' && (
          <Button type="primary" icon={<CaretRightOutlined />} onClick={() => ask({ ask: 'goOn', id })}>
            {t('technician:progress.goOn')}
          </Button>
        )}
        {state === 'failed' && (
          <>
            <Button type="primary" icon={<RedoOutlined />} onClick={() => ask({ ask: 'retry', id })}>
              {t('technician:progress.retry')}
            </Button>
            {there > 0 && there < entries && <Button onClick={() => ask({ ask: 'without', id })}>{t('technician:progress.without')}</Button>}
          </>
        )}
        {!done && (
          <label className="progress-priority">
            <span>{t('technician:order.priority')}</span>
            <Select
              size="small"
              value={sending.urgency}
              onChange={(urgency) => ask({ ask: 'urgency', id, urgency })}
              options={PRIORITIES.map((priority, value) => ({ value: value as 0 | 1 | 2, label: t(`technician:priority.${priority}.name`) }))}
            />
          </label>
        )}
        {done && (
          <Button icon={<ProfileOutlined />} onClick={() => void navigate({ to: '/cases' })}>
            {t('technician:progress.cases')}
          </Button>
        )}
        {done ? (
          <Button icon={<CloseOutlined />} onClick={() => ask({ ask: 'dismiss', id })}>
            {t('technician:progress.dismiss')}
          </Button>
        ) : (
          <Button icon={<CloseOutlined />} onClick={cancel}>
            {t('technician:progress.cancel')}
          </Button>
        )}
      </div>
    </article>
  );
}
