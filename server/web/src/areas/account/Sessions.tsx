// Where one is signed in, and how to end that.
import { useQuery } from '@tanstack/react-query';
import { Button, Card, Skeleton, Tag } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { moment } from '@/shared/time';
import { Trouble } from '@/shared/Trouble';

import { endSession, ownSessions, type OwnSession } from './api';

export function Sessions() {
  const { t } = useTranslation(['account', 'common']);
  const sessions = useQuery({ queryKey: ['sessions'], queryFn: ownSessions });
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<unknown>(null);

  async function finish(which: OwnSession[]) {
    setBusy(true);
    setFault(null);
    try {
      for (const session of which) await endSession(session.id);
    } catch (error) {
      setFault(error);
    } finally {
      await sessions.refetch();
      setBusy(false);
    }
  }

  const items = [...(sessions.data?.items ?? [])].sort((a, b) => Number(b.current) - Number(a.current) || b.used_at - a.used_at);
  const others = items.filter((session) => !session.current);
  return (
    <Card
      size="small"
      title={t('account:sessions.title')}
      extra={
        others.length > 1 && (
          <Button size="small" danger loading={busy} onClick={() => void finish(others)}>
            {t('account:sessions.endOthers')}
          </Button>
        )
      }
    >
      {fault !== null && <Trouble error={fault} />}
      {sessions.isError && <Trouble error={sessions.error} retry={() => void sessions.refetch()} />}
      {sessions.isPending && <Skeleton active />}
      <ul className="lines">
        {items.map((session) => (
          <li key={session.id} style={{ display: 'flex', flexWrap: 'wrap', gap: 8, justifyContent: 'space-between', alignItems: 'center', padding: '8px 0' }}>
            <span>
              {t(`account:sessions.kind.${session.kind}`)} · {session.source || t('account:sessions.unknown')} {session.current && <Tag color="success">{t('account:sessions.current')}</Tag>}
              <br />
              <span className="quiet">{t('account:sessions.times', { since: moment(session.created_at), used: moment(session.used_at) })}</span>
            </span>
            {!session.current && (
              <Button size="small" disabled={busy} onClick={() => void finish([session])}>
                {t('account:sessions.end')}
              </Button>
            )}
          </li>
        ))}
      </ul>
    </Card>
  );
}
