// What must be said about the text of a case: the claim has ended, it was restored, there are two versions, others have left something.
import { Alert, Button, Modal } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { clockSeconds } from '@/shared/time';

import type { CaseDetail, Draft } from '../api';
import { DiffView } from '../report/DiffView';
import { EMPTY } from '../report/keeper';
import type { Reading } from './useReading';

interface Props {
  reading: Reading;
  detail: CaseDetail;
  me: string;
  mayClaim: boolean;
  busy: boolean;
  onClaim: () => void;
}

/** The claim has ended: who has the case now, that nothing is lost, and the way back where there is one. */
function Lost({ reading, detail, me, mayClaim, busy, onClaim }: Props) {
  const { t } = useTranslation('reader');
  if (!reading.lost) return null;
  const { hold, stage } = detail.case;
  const words =
    hold && hold.holder !== me
      ? t('reader:lost.other', { name: detail.holder_name ?? '', at: clockSeconds(hold.acquired) })
      : hold
        ? t('reader:lost.window')
        : stage === 'ready' || stage === 'preliminary'
          ? t('reader:lost.free')
          : t('reader:lost.moved');
  return (
    <Alert
      type="error"
      showIcon
      role="alert"
      title={words}
      description={t('reader:lost.kept')}
      action={
        mayClaim && (
          <Button size="small" type="primary" loading={busy} onClick={onClaim}>
            {t('reader:lost.again')}
          </Button>
        )
      }
    />
  );
}

/** Two versions: what is on this machine, and what the relay has. */
function Choose({ reading }: { reading: Reading }) {
  const { t } = useTranslation('reader');
  const { choice } = reading;
  if (!choice) return null;
  const relay = choice.relay?.text ?? reading.before ?? EMPTY;
  return (
    <Modal open closable={false} mask={{ closable: false }} keyboard={false} width={760} title={t('reader:choice.title')} footer={[
        <Button key="relay" onClick={() => reading.choose('relay')}>
          {choice.relay ? t('reader:choice.relay', { at: clockSeconds(choice.relay.saved_at) }) : t('reader:choice.empty')}
        </Button>,
        <Button key="here" type="primary" autoFocus onClick={() => reading.choose('here')}>
          {t('reader:choice.here', { at: clockSeconds(choice.here.at * 1_000) })}
        </Button>,
      ]}
    >
      <p>{t('reader:choice.explain')}</p>
      <DiffView before={relay} after={choice.here.text} />
    </Modal>
  );
}

/** Texts that were left behind: looked at, and taken over into what is written. */
function Left({ reading }: { reading: Reading }) {
  const { t } = useTranslation('reader');
  const [open, setOpen] = useState<Draft | null>(null);
  const { keeper } = reading;
  if (!keeper || reading.left.length === 0) return null;
  return (
    <>
      <Alert
        type="info"
        showIcon
        closable
        title={t('reader:left.title', { count: reading.left.length })}
        action={reading.left.map((draft) => (
          <Button key={draft.id} size="small" onClick={() => setOpen(draft)}>
            {draft.author_name ?? t('reader:left.own')} {clockSeconds(draft.saved_at)}
          </Button>
        ))}
      />
      <Modal
        open={open !== null}
        width={760}
        title={t('reader:left.compare')}
        okText={t('reader:left.use')}
        onOk={() => {
          if (open) keeper.replace(open.text);
          setOpen(null);
        }}
        onCancel={() => setOpen(null)}
      >
        {open && <DiffView before={keeper.now().text} after={open.text} />}
      </Modal>
    </>
  );
}

export function Notes(props: Props) {
  const { t } = useTranslation('reader');
  const { reading } = props;
  return (
    <>
      <Lost {...props} />
      {reading.restored !== null && !reading.lost && (
        <Alert type="success" showIcon closable title={t('reader:restored', { at: clockSeconds(reading.restored * 1_000) })} />
      )}
      <Left reading={reading} />
      <Choose reading={reading} />
    </>
  );
}
