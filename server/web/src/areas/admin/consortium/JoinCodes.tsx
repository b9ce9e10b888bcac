// The codes of a clinic that could still be used, to be withdrawn.
import { useQuery } from '@tanstack/react-query';
import { Button, Drawer, Popconfirm, Skeleton } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { request } from '@/api/request';
import { moment } from '@/shared/time';
import { Nothing, Trouble } from '@/shared/Trouble';

import type { Place } from '../parts/places';

export function JoinCodes({ clinic, onClose }: { clinic: Place | null; onClose: () => void }) {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const [fault, setFault] = useState<unknown>(null);
  const id = clinic?.id ?? '';
  const codes = useQuery({ queryKey: ['join-codes', id], queryFn: () => request<Schemas['JoinCodesBody']>('GET', `/api/v1/clinics/${id}/join-codes`), enabled: id !== '' });

  async function withdraw(handle: string) {
    setFault(null);
    await request('DELETE', `/api/v1/join-codes/${encodeURIComponent(handle)}`).catch(setFault);
    await codes.refetch();
  }

  return (
    <Drawer open={clinic !== null} onClose={onClose} size={460} title={clinic ? `${clinic.name} · ${t('admin:clinics.codes')}` : ''}>
      {fault !== null && <Trouble error={fault} />}
      {codes.isError && <Trouble error={codes.error} retry={() => void codes.refetch()} />}
      {codes.isPending && <Skeleton active />}
      {codes.data?.items.length === 0 && <Nothing text={t('admin:join.noCodes')} />}
      <ul style={{ listStyle: 'none', padding: 0 }}>
        {codes.data?.items.map((code) => (
          <li key={code.handle} style={{ display: 'flex', justifyContent: 'space-between', gap: 8, padding: '8px 0' }}>
            <span>
              <b>{code.handle}…</b> {code.name}
              <br />
              <span className="quiet">
                {t('admin:join.until', { at: moment(code.expires_at) })} {code.failures > 0 ? t('admin:join.failures', { count: code.failures }) : ''}
              </span>
            </span>
            <Popconfirm title={t('admin:join.withdrawSure')} okText={t('admin:join.withdraw')} cancelText={t('common:cancel')} onConfirm={() => withdraw(code.handle)}>
              <Button size="small" danger>
                {t('admin:join.withdraw')}
              </Button>
            </Popconfirm>
          </li>
        ))}
      </ul>
    </Drawer>
  );
}
