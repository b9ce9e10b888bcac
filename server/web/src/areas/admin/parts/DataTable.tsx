// A list: a table on wide screens, cards on narrow ones, with "more" below and words where there is nothing.
import { Button, Card, Grid, Skeleton, Table } from 'antd';
import type { Key, ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { Trouble } from '@/shared/Trouble';

import type { Paged } from './paged';

export interface Column<T> {
  key: string;
  /** Empty for a column that needs no heading, such as the buttons. */
  title: string;
  render: (item: T) => ReactNode;
  width?: number;
  /** Heads the card on narrow screens. */
  main?: boolean;
  align?: 'start' | 'end';
}

interface Props<T> {
  /** What the list is, for whoever cannot see it. */
  label: string;
  columns: Column<T>[];
  list: Pick<Paged<T>, 'items' | 'loading' | 'error' | 'again'> & Partial<Pick<Paged<T>, 'more' | 'fetching' | 'next'>>;
  rowKey: (item: T) => string;
  /** Shown when there is nothing. */
  empty: ReactNode;
  selected?: string[];
  onSelect?: (keys: string[]) => void;
  rowClass?: (item: T) => string;
}

function Cards<T>({ label, columns, list, rowKey, selected, onSelect }: Props<T>) {
  const main = columns.find((column) => column.main) ?? columns[0];
  return (
    <ul aria-label={label} style={{ listStyle: 'none', margin: 0, padding: 0, display: 'grid', gap: 8 }}>
      {list.items.map((item) => (
        <li key={rowKey(item)}>
          <Card size="small">
            <div style={{ display: 'flex', gap: 8, alignItems: 'start', fontWeight: 600, marginBottom: 4 }}>
              {onSelect && (
                <input
                  type="checkbox"
                  aria-label={label}
                  checked={selected?.includes(rowKey(item)) ?? false}
                  onChange={(event) => onSelect(event.target.checked ? [...(selected ?? []), rowKey(item)] : (selected ?? []).filter((key) => key !== rowKey(item)))}
                />
              )}
              <div style={{ minWidth: 0, overflowWrap: 'anywhere' }}>{main?.render(item)}</div>
            </div>
            <dl className="card-lines">
              {columns
                .filter((column) => column !== main)
                .map((column) => (
                  <div key={column.key}>
                    {column.title && <dt>{column.title}</dt>}
                    <dd>{column.render(item)}</dd>
                  </div>
                ))}
            </dl>
          </Card>
        </li>
      ))}
    </ul>
  );
}

export function DataTable<T extends object>(props: Props<T>) {
  const { label, columns, list, rowKey, empty, selected, onSelect, rowClass } = props;
  const { t } = useTranslation(['admin', 'common']);
  const wide = Grid.useBreakpoint().md ?? true;
  if (list.loading) return <Skeleton active aria-label={t('admin:loading')} />;
  if (list.error && list.items.length === 0) return <Trouble error={list.error} retry={list.again} />;
  if (list.items.length === 0) return <>{empty}</>;
  const select = onSelect && {
    selectedRowKeys: selected ?? [],
    onChange: (keys: Key[]) => onSelect(keys.map(String)),
    getCheckboxProps: (item: T) => ({ 'aria-label': `${label} ${rowKey(item)}` }),
  };
  return (
    <>
      {list.error && <Trouble error={list.error} retry={list.again} />}
      {wide ? (
        <div style={{ overflowX: 'auto' }}>
          <Table<T>
            aria-label={label}
            size="small"
            pagination={false}
            rowKey={rowKey}
            dataSource={list.items}
            {...(select ? { rowSelection: select } : {})}
            {...(rowClass ? { rowClassName: rowClass } : {})}
            columns={columns.map((column) => ({
              key: column.key,
              title: column.title,
              ...(column.width ? { width: column.width } : {}),
              align: column.align === 'end' ? ('right' as const) : ('left' as const),
              render: (_: unknown, item: T) => column.render(item),
            }))}
          />
        </div>
      ) : (
        <Cards {...props} />
      )}
      {list.more && list.next && (
        <div style={{ textAlign: 'center', marginTop: 12 }}>
          <Button onClick={list.next} loading={list.fetching ?? false}>
            {t('admin:more')}
          </Button>
        </div>
      )}
    </>
  );
}
