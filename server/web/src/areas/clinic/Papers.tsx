// The papers of a case's request: what is there, and one more where it was forgotten.
import { PaperClipOutlined, PlusOutlined } from '@ant-design/icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Button, Flex } from 'antd';
import { useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { addPaper, isPaper, PAPER_TYPES, paperPath, readPapers } from '@/shared/papers';
import { shortMoment } from '@/shared/time';
import { Trouble } from '@/shared/Trouble';

interface Props {
  order: string;
  /** More may come until a report was signed. */
  open: boolean;
}

export function Papers({ order, open }: Props) {
  const { t } = useTranslation('clinic');
  const cache = useQueryClient();
  const input = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState(false);
  const [fault, setFault] = useState<unknown>(null);
  const key = ['clinic', 'papers', order];
  const papers = useQuery({ queryKey: key, queryFn: () => readPapers(order) });

  async function add(files: File[]) {
    const good = files.filter(isPaper);
    setRefused(good.length < files.length);
    setFault(null);
    setBusy(true);
    try {
      let number = papers.data?.length ?? 0;
      for (const file of good) {
        number += 1;
        await addPaper(order, t('clinic:paper.name'), number, file);
      }
    } catch (error) {
      setFault(error);
    } finally {
      setBusy(false);
      await cache.invalidateQueries({ queryKey: key });
    }
  }

  return (
    <section>
      <h3>{t('clinic:paper.title')}</h3>
      {papers.error && <Trouble error={papers.error} retry={() => void papers.refetch()} />}
      {papers.data?.length === 0 && <p className="quiet">{t('clinic:paper.none')}</p>}
      <ul className="clinic-papers">
        {papers.data?.map((paper) => (
          <li key={paper.id}>
            <PaperClipOutlined aria-hidden />{' '}
            <a href={paperPath(paper.id)} target="_blank" rel="noopener">
              <bdi>{paper.name}</bdi>
            </a>{' '}
            <span className="quiet">
              <bdi>{paper.added_by_name}</bdi> · {shortMoment(paper.added_at)}
            </span>
          </li>
        ))}
      </ul>
      {open && (
        <Flex gap="small" align="center" wrap>
          <Button icon={<PlusOutlined />} loading={busy} onClick={() => input.current?.click()}>
            {t('clinic:paper.add')}
          </Button>
          <span className="quiet">{t('clinic:paper.explain')}</span>
        </Flex>
      )}
      {refused && <p role="alert">{t('clinic:paper.refused')}</p>}
      {fault !== null && <Trouble error={fault} />}
      <input
        ref={input}
        type="file"
        hidden
        multiple
        aria-label={t('clinic:paper.add')}
        accept={PAPER_TYPES.join(',')}
        onChange={(event) => {
          void add([...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = '';
        }}
      />
    </section>
  );
}
