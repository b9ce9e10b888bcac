// Narrowing the queue: text, modality, clinic, priority, overdue; filters that are kept; which columns are shown.
import { ClearOutlined, FilterOutlined, SearchOutlined, StarOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Button, Dropdown, Input, Select, Switch } from 'antd';
import { useMemo, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { request } from '@/api/request';
import { ConfirmText } from '@/shared/ConfirmText';
import { usePreference } from '@/shared/preferences';

import type { Filter } from '../api';
import { MODALITIES, narrows, NO_FILTER, PRIORITIES, readSaved } from './filters';

interface Props {
  /** On narrow screens the choices come when they are asked for. */
  narrow: boolean;
  filter: Filter;
  typed: string;
  onTyped: (text: string) => void;
  onFilter: (change: Partial<Filter>) => void;
  children?: ReactNode;
}

interface Organizations {
  items: { id: string; name: string; kind: string }[];
}

function useClinics(): { value: string; label: string }[] {
  const { data } = useQuery({
    queryKey: ['organizations', 'clinics'],
    queryFn: () => request<Organizations>('GET', '/api/v1/organizations', undefined, { query: { limit: 200 } }),
    staleTime: 600_000,
  });
  return useMemo(() => (data?.items ?? []).filter((place) => place.kind === 'clinic').map((place) => ({ value: place.id, label: place.name })), [data]);
}

export function FilterBar({ narrow, filter, typed, onTyped, onFilter, children }: Props) {
  const { t } = useTranslation('reader');
  const clinics = useClinics();
  const [saved, setSaved] = usePreference('queue.filters', readSaved);
  const [naming, setNaming] = useState(false);
  const [open, setOpen] = useState(false);
  const choices = [
    ...saved.map((entry) => ({
      key: entry.name,
      label: entry.name,
      onClick: () => {
        onTyped('');
        onFilter({ ...entry.filter, text: '' });
      },
    })),
    ...(saved.length > 0 ? [{ type: 'divider' as const }] : []),
    { key: '+', label: t('reader:filter.save'), disabled: saved.length >= 20, onClick: () => setNaming(true) },
    ...(saved.length > 0
      ? [
          {
            key: '-',
            label: t('reader:filter.remove'),
            children: saved.map((entry) => ({ key: `-${entry.name}`, label: entry.name, onClick: () => setSaved(saved.filter((other) => other.name !== entry.name)) })),
          },
        ]
      : []),
  ];
  return (
    <div className="queue-filters" role="search" aria-label={t('reader:filter.label')}>
      <Input
        allowClear
        prefix={<SearchOutlined aria-hidden />}
        style={{ flex: '1 1 180px', maxWidth: 300 }}
        value={typed}
        placeholder={t('reader:filter.text')}
        aria-label={t('reader:filter.text')}
        onChange={(event) => onTyped(event.target.value)}
      />
      {narrow && <Button icon={<FilterOutlined />} aria-label={t('reader:filter.label')} aria-expanded={open} type={narrows({ ...filter, text: '' }) ? 'primary' : 'default'} onClick={() => setOpen(!open)} />}
      {(!narrow || open) && (
        <>
          <Select
            allowClear
            style={{ minWidth: 100 }}
            placeholder={t('reader:filter.modality')}
            aria-label={t('reader:filter.modality')}
            value={filter.modality || null}
            onChange={(value: string | null) => onFilter({ modality: value ?? '' })}
            options={MODALITIES.map((value) => ({ value, label: value }))}
          />
          <Select
            allowClear
            showSearch={{ optionFilterProp: 'label' }}
            style={{ minWidth: 150 }}
            placeholder={t('reader:filter.clinic')}
            aria-label={t('reader:filter.clinic')}
            value={filter.clinic || null}
            onChange={(value: string | null) => onFilter({ clinic: value ?? '' })}
            options={clinics}
          />
          <Select
            allowClear
            style={{ minWidth: 100 }}
            placeholder={t('reader:filter.priority')}
            aria-label={t('reader:filter.priority')}
            value={filter.priority || null}
            onChange={(value: string | null) => onFilter({ priority: value ?? '' })}
            options={PRIORITIES.map((value) => ({ value, label: t(`shared:priority.${value}`) }))}
          />
          <label>
            <Switch size="small" checked={filter.overdue} onChange={(overdue) => onFilter({ overdue })} /> {t('reader:filter.overdue')}
          </label>
        </>
      )}
      {(narrows(filter) || typed !== '') && (
        <Button
          type="text"
          icon={<ClearOutlined aria-hidden />}
          onClick={() => {
            onTyped('');
            onFilter({ ...NO_FILTER, tab: filter.tab });
          }}
        >
          {t('reader:filter.clear')}
        </Button>
      )}
      <Dropdown menu={{ items: choices }} trigger={['click']}>
        <Button icon={<StarOutlined aria-hidden />}>{t('reader:filter.saved')}</Button>
      </Dropdown>
      {children}
      <ConfirmText
        open={naming}
        title={t('reader:filter.save')}
        explain={t('reader:filter.noText')}
        label={t('reader:filter.name')}
        action={t('reader:filter.keep')}
        most={40}
        onDone={async (name) => setSaved([...saved.filter((entry) => entry.name !== name), { name, filter: { ...filter, text: '' } }])}
        onClose={() => setNaming(false)}
      />
    </div>
  );
}
