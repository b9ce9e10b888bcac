// The heading of a page, and the same words as the title of the window. Never with patient data: titles end up in histories.
import { Typography } from 'antd';
import { useEffect, type ReactNode } from 'react';

interface Props {
  title: string;
  /** Under the heading: what the page is for. */
  lead?: ReactNode;
  /** At the end of the line: what can be done here. */
  actions?: ReactNode;
}

export function PageTitle({ title, lead, actions }: Props) {
  useEffect(() => {
    document.title = `${title} · medrelay`;
  }, [title]);
  return (
    <div style={{ marginBottom: 16 }}>
      <div style={{ display: 'flex', flexWrap: 'wrap', gap: 8, alignItems: 'center', justifyContent: 'space-between' }}>
        <Typography.Title level={1} style={{ fontSize: 20, margin: 0 }}>
          {title}
        </Typography.Title>
        {actions !== undefined && <div style={{ display: 'flex', flexWrap: 'wrap', gap: 8 }}>{actions}</div>}
      </div>
      {lead !== undefined && (
        <Typography.Paragraph type="secondary" style={{ margin: '4px 0 0' }}>
          {lead}
        </Typography.Paragraph>
      )}
    </div>
  );
}
