// A returned case: why it came back, what to do about it, and the ways to do it.
import { CloudUploadOutlined, RollbackOutlined } from '@ant-design/icons';
import { useNavigate } from '@tanstack/react-router';
import { Button, Flex } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { has, useMe } from '@/app/session';
import { shortMoment } from '@/shared/time';
import { ReturnReason } from '@/shared/words';

import type { CaseLine } from './data';
import { Resubmit } from './Resubmit';

/** Reasons that no further image mends. */
const WITHOUT_IMAGES = ['MISSING_HISTORY', 'DUPLICATE', 'OUT_OF_SCOPE'];

interface Props {
  id: string;
  why: NonNullable<CaseLine['returned']>;
  /** The case's own page is elsewhere. */
  linked: boolean;
}

export function ReturnedCase({ id, why, linked }: Props) {
  const { t } = useTranslation('clinic');
  const me = useMe();
  const navigate = useNavigate();
  const [asking, setAsking] = useState(false);
  return (
    <>
      <ReturnReason code={why.code} text={why.text} />
      <p className="quiet">{t('clinic:returned.by', { name: why.by_name, at: shortMoment(why.at) })}</p>
      <Flex gap="small" wrap>
        {has(me, 'technician') && !WITHOUT_IMAGES.includes(why.code) && (
          <Button icon={<CloudUploadOutlined />} onClick={() => void navigate({ to: '/upload' })}>
            {t('clinic:returned.upload')}
          </Button>
        )}
        <Button type="primary" icon={<RollbackOutlined />} onClick={() => setAsking(true)}>
          {t('clinic:returned.resubmit')}
        </Button>
        {linked && (
          <Button type="link" onClick={() => void navigate({ to: `/reports/${id}` as string })}>
            {t('clinic:returned.open')}
          </Button>
        )}
      </Flex>
      {asking && <Resubmit id={id} history={why.code === 'MISSING_HISTORY'} done={() => setAsking(false)} />}
    </>
  );
}
