// Errors of the relay (RFC 9457) as one exception, so that callers decide by `code`.

/** What the relay says when it refuses. */
export interface ProblemBody {
  status: number;
  code: string;
  detail: string;
  field?: string | null;
  context?: Record<string, unknown> | null;
}

/** A refusal, or (status 0, code `NETWORK`) no answer at all. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly field: string | null;
  readonly context: Record<string, unknown>;

  constructor(body: ProblemBody) {
    super(body.detail);
    this.name = 'Problem';
    this.status = body.status;
    this.code = body.code;
    this.field = body.field ?? null;
    this.context = body.context ?? {};
  }

  /** Whether the same request may succeed in a moment. */
  get passing(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

/** Reads a refusal from a response, whoever gave it. */
export async function problemOf(response: Response): Promise<Problem> {
  const body = (await response.json().catch(() => null)) as Partial<ProblemBody> | null;
  return new Problem({
    status: response.status,
    code: body?.code ?? `HTTP_${response.status}`,
    detail: body?.detail ?? response.statusText,
    field: body?.field ?? null,
    context: body?.context ?? null,
  });
}

/** Anything thrown by a request as a [`Problem`]. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const detail = error instanceof Error ? error.message : String(error);
  return new Problem({ status: 0, code: 'NETWORK', detail });
}
