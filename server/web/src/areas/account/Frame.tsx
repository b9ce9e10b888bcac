// What surrounds the pages of somebody who is not signed in, or not yet let in: name, language, one column.
import { GlobalOutlined } from '@ant-design/icons';
import { Button, Card, Typography } from 'antd';
import { type ReactNode, useEffect } from 'react';
import { useTranslation } from 'react-i18next';

import { chooseLanguage } from '@/i18n';
import { Logo } from '@/app/Logo';

interface Props {
  title: string;
  /** What this is for, in a sentence. */
  lead?: ReactNode;
  children: ReactNode;
  width?: number;
}

export function Frame({ title, lead, children, width = 400 }: Props) {
  const { t, i18n } = useTranslation(['account', 'common']);
  useEffect(() => {
    document.title = `${title} · medrelay`;
  }, [title]);
  return (
    <div style={{ minHeight: '100%', display: 'grid', gridTemplateRows: 'auto 1fr', padding: 12, boxSizing: 'border-box' }}>
      <header style={{ display: 'flex', justifyContent: 'space-between', alignItems: 'center' }}>
        <Logo />
        <Button type="text" icon={<GlobalOutlined />} onClick={() => void chooseLanguage(i18n.language === 'en' ? 'zh' : 'en')}>
          {t('common:shell.otherLanguage')}
        </Button>
      </header>
      <main style={{ display: 'grid', placeItems: 'center', padding: '12px 0 8vh' }}>
        <Card style={{ width: `min(${width}px, 100%)` }}>
          <Typography.Title level={1} style={{ fontSize: 22, marginTop: 0 }}>
            {title}
          </Typography.Title>
          {lead !== undefined && <Typography.Paragraph type="secondary">{lead}</Typography.Paragraph>}
          {children}
        </Card>
      </main>
    </div>
  );
}
