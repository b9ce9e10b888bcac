// One call of the relay's interface without the generated client: paths that are put together, bodies that are files, calls that must
// not be done twice, and the second proof of identity that some calls ask for.
import { clockFrom } from '@/shared/time';

import { sayNobody, sessionHeaders } from './client';
import { asProblem, Problem, problemOf } from './problem';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
type Asked = string | number | boolean | null | undefined;

export interface Options {
  /** Goes into the query; what is null, undefined or empty is left out. */
  query?: Record<string, Asked>;
  signal?: AbortSignal;
  /** Sent as `Idempotency-Key`: the same key is answered as the first time. Make one per intention with `newKey()`. */
  key?: string;
  headers?: Record<string, string>;
  /** Goes on when the page is being closed (bodies up to 64 KiB). */
  keepalive?: boolean;
}

type Prover = (problem: Problem) => Promise<boolean>;
let prover: Prover | null = null;

/** Sets who asks for the password again when the relay says `STEP_UP_REQUIRED`; `true` means that it was given. */
export function askProofWith(ask: Prover | null): void {
  prover = ask;
}

let renewer: (() => Promise<boolean>) | null = null;

/** Sets who finds out the session's token again when it was changed in another tab; `true` means that it is the same person's. */
export function renewWith(renew: () => Promise<boolean>): void {
  renewer = renew;
}

/** A new key for a call that creates something. */
export function newKey(): string {
  return crypto.randomUUID();
}

/** The path with its query. */
export function withQuery(path: string, query: Record<string, Asked> = {}): string {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') asked.set(name, String(value));
  }
  const text = asked.toString();
  return text === '' ? path : `${path}?${text}`;
}

function isRaw(body: unknown): body is Blob | ArrayBuffer | Uint8Array<ArrayBuffer> {
  return body instanceof Blob || body instanceof ArrayBuffer || body instanceof Uint8Array;
}

async function send(method: Method, path: string, body: unknown, options: Options): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json', ...options.headers };
  if (method !== 'GET') Object.assign(headers, sessionHeaders());
  if (options.key) headers['Idempotency-Key'] = options.key;
  const raw = isRaw(body);
  if (body !== undefined && !raw) headers['Content-Type'] = 'application/json';
  try {
    return await fetch(withQuery(path, options.query), {
      method,
      headers,
      credentials: 'same-origin',
      body: body === undefined ? undefined : raw ? body : JSON.stringify(body),
      signal: options.signal ?? null,
      keepalive: options.keepalive ?? false,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw asProblem(error);
  }
}

/** Sends and gives the answer's body; throws a [`Problem`]. Nobody signed in ends the session of the page. */
export async function request<T>(method: Method, path: string, body?: unknown, options: Options = {}): Promise<T> {
  let response = await send(method, path, body, options);
  if (response.status === 403) {
    const problem = await problemOf(response.clone());
    const again = problem.code === 'STEP_UP_REQUIRED' ? prover?.(problem) : problem.code === 'CSRF' ? renewer?.() : undefined;
    if (await again) response = await send(method, path, body, options);
  }
  clockFrom(response.headers.get('date'));
  if (response.ok) return (response.status === 204 ? undefined : await response.json()) as T;
  const problem = await problemOf(response);
  if (problem.code === 'UNAUTHENTICATED') sayNobody();
  throw problem;
}
