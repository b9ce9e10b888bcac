// A card with a heading and a number, for pages that are made of several lists.
import { Badge, Card } from 'antd';
import type { ReactNode } from 'react';

interface Props {
  id: string;
  title: string;
  count?: number;
  extra?: ReactNode;
  children: ReactNode;
}

export function Section({ id, title, count, extra, children }: Props) {
  return (
    <Card
      id={id}
      size="small"
      title={
        <span style={{ display: 'inline-flex', gap: 8, alignItems: 'center' }}>
          {title}
          {count !== undefined && <Badge count={count} showZero overflowCount={999} color={count > 0 ? '#b00d1b' : '#5f6b76'} />}
        </span>
      }
      extra={extra}
    >
      {children}
    </Card>
  );
}
