// What a refusal at the door means, in words that say what to do.
import type { TFunction } from 'i18next';

import { asProblem } from '@/api/problem';

/** Minutes from now until a time of the relay, at least one. */
function minutesUntil(micros: unknown): number {
  const until = typeof micros === 'number' ? micros / 1000 : 0;
  return Math.max(1, Math.ceil((until - Date.now()) / 60_000));
}

/** The words for a refusal of a password, a code or a link. */
export function doorFault(t: TFunction, error: unknown): string {
  const problem = asProblem(error);
  switch (problem.code) {
    case 'BAD_CREDENTIALS':
      return t('account:fault.credentials');
    case 'LOCKED':
      return t('account:fault.locked', { minutes: minutesUntil(problem.context['until']) });
    case 'SECOND_FACTOR_WRONG':
      return t('account:fault.code');
    case 'BUSY':
      return t('account:fault.busy');
    case 'BAD_TICKET':
      return t('account:fault.ticket');
    case 'NETWORK':
      return t('account:fault.network');
    default:
      if (problem.field === 'password') return t('account:fault.password');
      if (problem.field === 'login') return t('account:fault.login');
      return t('account:fault.other', { detail: problem.message });
  }
}

/** The words for a refusal of what somebody who is signed in typed to prove who they are. */
export function proofFault(t: TFunction, error: unknown, password = 'password'): string {
  const { field } = asProblem(error);
  if (field === password) return t('account:password.currentWrong');
  return field === 'code' ? t('account:fault.code') : doorFault(t, error);
}
