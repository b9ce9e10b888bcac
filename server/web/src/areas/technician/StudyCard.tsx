// One study that waits for a person's word: whose it is, what is wrong with it, and the request that goes with it.
import { DeleteOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useTranslation } from 'react-i18next';

import { ask, type Draft } from '@/upload';

import { OrderForm } from './OrderForm';
import { StudyHead } from './StudyHead';
import { StudyIssues } from './StudyIssues';
import { StudyPicture } from './StudyPicture';

export function StudyCard({ draft }: { draft: Draft }) {
  const { t } = useTranslation('technician');
  const discard = (
    <Button icon={<DeleteOutlined />} onClick={() => ask({ ask: 'discard', key: draft.key })}>
      {t('technician:study.discard')}
    </Button>
  );
  return (
    <article className="study-card" aria-label={t('technician:study.card')}>
      <div className="study-top">
        <StudyPicture study={draft.key} />
        <StudyHead card={draft} />
      </div>
      <StudyIssues draft={draft} />
      <OrderForm draft={draft} discard={discard} />
    </article>
  );
}
