// What is shown where there is nothing, and where something was refused or failed: plain words, and a way on.
import { Alert, Button, Empty } from 'antd';
import i18next from 'i18next';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { asProblem } from '@/api/problem';

/** The refusals that have words of their own (by their code). */
const KNOWN = new Set([
  'NETWORK',
  'NOT_FOUND',
  'FORBIDDEN',
  'VERSION_CONFLICT',
  'STATE_CONFLICT',
  'CLAIM_LOST',
  'LEASE_LOST',
  'CLAIM_LIMIT',
  'ALREADY_CLAIMED',
  'ASSIGNED_TO_ANOTHER',
  'AUTHOR_CANNOT_VERIFY',
  'NOT_QUALIFIED',
  'SIGNING_POLICY',
  'QUEUE_EMPTY',
  'STEP_UP_REQUIRED',
  'STEP_UP_CANCELLED',
  'SECOND_FACTOR_REQUIRED',
  'SECOND_FACTOR_WRONG',
  'SECOND_FACTOR_NEEDED',
  'BAD_CREDENTIALS',
  'SIGN_IN_LOCKED',
  'BODY_TOO_LARGE',
  'OUT_OF_SPACE',
  'DATABASE_UNAVAILABLE',
  'BLOBS_UNAVAILABLE',
  'BLOBS_DAMAGED',
  'IDEMPOTENCY_MISMATCH',
  'READ_BACK_MISSING',
  'RATE_LIMITED',
]);

/** Anything thrown, in a sentence for people. What has no words of its own keeps the relay's. */
export function plainWords(error: unknown): string {
  const problem = asProblem(error);
  if (KNOWN.has(problem.code)) {
    const holder = typeof problem.context['holder_name'] === 'string' ? problem.context['holder_name'] : '';
    const words = i18next.t(`shared:problem.${problem.code}`);
    return holder === '' ? words : `${words}${i18next.t('shared:problem.holder', { holder })}`;
  }
  if (problem.status >= 500) return i18next.t('shared:problem.server');
  return problem.message === '' ? i18next.t('shared:problem.other') : problem.message;
}

interface Props {
  error: unknown;
  /** Tries again; without it there is no button. */
  retry?: () => void;
  /** What else can be done. */
  action?: ReactNode;
}

/** A problem, with a button for trying again. */
export function Trouble({ error, retry, action }: Props) {
  const { t } = useTranslation('shared');
  const problem = asProblem(error);
  return (
    <Alert
      role="alert"
      type={problem.passing ? 'warning' : 'error'}
      showIcon
      title={plainWords(problem)}
      action={
        <>
          {action}
          {retry && (
            <Button size="small" onClick={retry}>
              {t('shared:again')}
            </Button>
          )}
        </>
      }
    />
  );
}

/** Nothing here, and what to do about it. */
export function Nothing({ text, children }: { text: string; children?: ReactNode }) {
  return (
    <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={text}>
      {children}
    </Empty>
  );
}
