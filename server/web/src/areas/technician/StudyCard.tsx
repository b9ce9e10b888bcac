// One study that waits for a person's word: whose it is, what is wrong with it, and the request that goes with it.
import { DeleteOutlined, FormOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { ask, type Draft } from '@/upload';

import { OrderForm } from './OrderForm';
import { StudyHead } from './StudyHead';
import { isBlocked, isRed, StudyIssues } from './StudyIssues';
import { StudyPicture } from './StudyPicture';

interface Props {
  draft: Draft;
  /** The form is there at once: where there are many studies, it is opened one by one. */
  few: boolean;
}

export function StudyCard({ draft, few }: Props) {
  const { t } = useTranslation('technician');
  const [asked, setAsked] = useState(false);
  const open = few || asked;
  const discard = (
    <Button icon={<DeleteOutlined />} onClick={() => ask({ ask: 'discard', key: draft.key })}>
      {t('technician:study.discard')}
    </Button>
  );
  return (
    <article className={`study-card${isRed(draft) ? ' study-red' : ''}${open && !isBlocked(draft) ? ' study-beside' : ''}`} aria-label={t('technician:study.card')}>
      <div className="study-side">
        <div className="study-top">
          <StudyPicture study={draft.key} />
          <StudyHead card={draft} />
        </div>
        <StudyIssues draft={draft} />
      </div>
      {open ? (
        <OrderForm draft={draft} discard={discard} />
      ) : (
        <div className="order-foot">
          <Button type="primary" icon={<FormOutlined />} onClick={() => setAsked(true)}>
            {t('technician:study.write')}
          </Button>
          {discard}
        </div>
      )}
    </article>
  );
}
