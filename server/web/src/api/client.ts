// The typed client of the relay's interface, generated from its OpenAPI document (`npm run schema`), with the session's CSRF token.
import createClient, { type Middleware } from 'openapi-fetch';

import { asProblem, Problem } from './problem';
import type { components, paths } from './schema';

/** The schemas of the interface by name. */
export type Schemas = components['schemas'];

let csrf: string | null = null;
let signedOut: () => void = () => undefined;

/** Sets the token that a browser session shows with everything that changes something. */
export function setCsrf(token: string | null): void {
  csrf = token;
}

/** Calls back when the relay says that nobody is signed in. */
export function onSignedOut(call: () => void): void {
  signedOut = call;
}

/** Whether a refusal means that nobody is signed in; a wrong password or code does not. */
export async function noticeSignedOut(response: Response): Promise<void> {
  const body = (await response.clone().json().catch(() => null)) as { code?: string } | null;
  if (body?.code === undefined || body.code === 'UNAUTHENTICATED') signedOut();
}

/** Tells the page that the relay knows nobody of this session; for what is asked without the client. */
export function sayNobody(): void {
  signedOut();
}

/** Headers for a request that is made without the client, such as an upload. */
export function sessionHeaders(): Record<string, string> {
  return csrf ? { 'X-Medrelay-CSRF': csrf } : {};
}

const session: Middleware = {
  onRequest({ request }) {
    if (csrf && request.method !== 'GET') request.headers.set('X-Medrelay-CSRF', csrf);
    return request;
  },
  async onResponse({ response }) {
    if (response.status === 401) await noticeSignedOut(response);
  },
};

/** The client: `await ok(api.GET('/api/v1/queue', {...}))`. */
export const api = createClient<paths>({ baseUrl: '', credentials: 'same-origin' });
api.use(session);

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of a successful answer; throws a [`Problem`] otherwise. */
export async function ok<T>(answer: Promise<Answer<T>>): Promise<T> {
  let settled: Answer<T>;
  try {
    settled = await answer;
  } catch (error) {
    throw asProblem(error);
  }
  if (settled.response.ok) return settled.data as T;
  const body = settled.error;
  if (body && typeof body === 'object' && 'code' in body) {
    throw new Problem({ status: settled.response.status, ...(body as { code: string; detail: string }) });
  }
  // The body was read already, and says nothing that we know: a proxy answered in the relay's place.
  const { status, statusText } = settled.response;
  throw new Problem({ status, code: `HTTP_${status}`, detail: statusText });
}
