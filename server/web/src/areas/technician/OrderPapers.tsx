// Consent forms and other papers that go with a request: photographs and PDFs.
import { PaperClipOutlined } from '@ant-design/icons';
import { Button, Tag } from 'antd';
import { useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { isPaper, PAPER_TYPES } from '@/shared/papers';

import { bytesText } from './words';

interface Props {
  papers: File[];
  onChange: (papers: File[]) => void;
}

export function OrderPapers({ papers, onChange }: Props) {
  const { t } = useTranslation('technician');
  const input = useRef<HTMLInputElement>(null);
  const [refused, setRefused] = useState(false);
  const take = (list: File[]) => {
    const good = list.filter(isPaper);
    setRefused(good.length < list.length);
    onChange([...papers, ...good]);
  };
  return (
    <div className="order-papers">
      <Button icon={<PaperClipOutlined />} onClick={() => input.current?.click()}>
        {t('technician:paper.add')}
      </Button>
      <span className="quiet">{t('technician:paper.explain')}</span>
      {papers.map((paper, at) => (
        <Tag key={at} closable={{ 'aria-label': t('technician:paper.remove') }} onClose={() => onChange(papers.filter((_, other) => other !== at))}>
          <bdi>{paper.name}</bdi> {bytesText(paper.size)}
        </Tag>
      ))}
      {refused && <span role="alert" className="order-refused">{t('technician:paper.refused')}</span>}
      <input
        ref={input}
        type="file"
        hidden
        multiple
        aria-label={t('technician:paper.add')}
        accept={PAPER_TYPES.join(',')}
        onChange={(event) => {
          take([...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = '';
        }}
      />
    </div>
  );
}
