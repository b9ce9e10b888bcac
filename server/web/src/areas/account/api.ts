// What this area asks the relay: signing in, invitations, the second factor, sessions.
import type { Schemas } from '@/api/client';
import { request } from '@/api/request';

/** A session that has just begun. */
export interface Begun {
  person: Schemas['PersonBody'];
  csrf_token?: string | null;
}

export interface Opened {
  name: string;
  login: string;
  organization_name: string;
  /** One must be set up afterwards. */
  second_factor: boolean;
  /** There is one already: its code is asked for. */
  needs_code?: boolean;
}

export interface Secret {
  secret: string;
  uri: string;
}

export type OwnSession = Schemas['SessionBody'];

export function signIn(login: string, password: string, code?: string): Promise<Begun> {
  return request('POST', '/api/v1/sessions', { login, password, kind: 'browser', ...(code ? { code } : {}) });
}

export function setUp(body: Schemas['SetUpInput']): Promise<unknown> {
  return request('POST', '/api/v1/setup', body);
}

export function openInvitation(token: string): Promise<Opened> {
  return request('POST', '/api/v1/invitations/open', { token });
}

export function acceptInvitation(token: string, password: string, code?: string): Promise<Begun> {
  return request('POST', '/api/v1/invitations/accept', { token, password, ...(code ? { code } : {}) });
}

export function changePassword(current: string, password: string): Promise<Begun> {
  return request('POST', '/api/v1/me/password', { current_password: current, password });
}

export function beginSecondFactor(password: string): Promise<Secret> {
  return request('POST', '/api/v1/me/second-factor', { password });
}

export function confirmSecondFactor(code: string): Promise<{ recovery_codes: string[] }> {
  return request('POST', '/api/v1/me/second-factor/confirm', { code });
}

export function removeSecondFactor(password: string, code: string): Promise<void> {
  return request('POST', '/api/v1/me/second-factor/remove', { password, code });
}

export function ownSessions(): Promise<{ items: OwnSession[] }> {
  return request('GET', '/api/v1/sessions');
}

export function endSession(id: string): Promise<void> {
  return request('DELETE', `/api/v1/sessions/${encodeURIComponent(id)}`);
}
