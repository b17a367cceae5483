/** What the API server refused, and what kind of refusal it was. @module */

/** An answer of the API server that is none of 2xx. */
export class KubeError extends Error {
  /** The HTTP status. */
  readonly status: number;
  /** The API server's word for it: `AlreadyExists`, `Forbidden`, `Expired`, … */
  readonly reason: string;
  /** When the server wants to be asked again, where it said so. */
  readonly retryAfterMs: number | null;

  constructor(status: number, reason: string, message: string, retryAfterMs: number | null = null) {
    super(message);
    this.name = 'KubeError';
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Reads the Status object of a refusal; what is none (a proxy's page) is kept as text. */
export function kubeErrorOf(status: number, text: string, retryAfter?: string | string[]): KubeError {
  const seconds = Number(Array.isArray(retryAfter) ? retryAfter[0] : retryAfter);
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : null;
  try {
    const { reason, message }: { reason?: unknown; message?: unknown } = JSON.parse(text);
    if (typeof message === 'string')
      return new KubeError(status, String(reason ?? ''), message, retryAfterMs);
  } catch {
    // not a Status
  }
  return new KubeError(status, '', `HTTP ${status}: ${text.slice(0, 200)}`, retryAfterMs);
}

/** The API server refused the thing itself: trying the same again helps only once somebody changes something. */
export function isRefusal(error: unknown): error is KubeError {
  return error instanceof KubeError && [400, 403, 405, 413, 422].includes(error.status);
}
