/** What keeps a Terminal from being what it should be, as the words of a condition. @module */
import { isRefusal, KubeError } from '../kubernetes/kube-error.ts';

export interface Trouble {
  /** CamelCase. */
  readonly reason: string;
  readonly message: string;
}

/** Somebody else's object has the name of a child. */
export class CollisionError extends Error {
  constructor(kind: string, name: string) {
    super(
      `there is a ${kind} "${name}" that is not this terminal's; it is left as it is: remove or rename it`,
    );
    this.name = 'CollisionError';
  }
}

/** A child of that name is on its way out; its end brings the next look. */
export class LeavingError extends Error {
  constructor(kind: string, name: string) {
    super(`the ${kind} "${name}" from before is still being removed`);
    this.name = 'LeavingError';
  }
}

const correctSpec = 'correct the spec of the Terminal, or the policy that it is made from';

/** Nothing can be made of a Terminal's spec. */
export class SpecError extends Error {
  /** @param hint what to write instead */
  constructor(problem: string, hint: string) {
    super(`${problem} (${hint})`);
    this.name = 'SpecError';
  }
}

/** A failure that is to be told in the status; null for one that only has to be tried again (network, 409, 5xx). */
export function troubleOf(error: unknown): Trouble | null {
  if (error instanceof CollisionError) return { reason: 'NameCollision', message: error.message };
  if (error instanceof SpecError) return { reason: 'InvalidSpec', message: error.message };
  // What nobody has thought of in a spec: the next try would fail as this one did.
  if (error instanceof RangeError || error instanceof TypeError)
    return { reason: 'InvalidSpec', message: `${error.message} (${correctSpec})` };
  if (!isRefusal(error)) return null;
  return { reason: refusalReason(error), message: error.message };
}

function refusalReason({ status, message, reason }: KubeError): string {
  if (message.includes('exceeded quota')) return 'QuotaExceeded';
  if (message.includes('PodSecurity')) return 'PodSecurityViolation';
  if (status === 403) return 'Forbidden';
  return reason || 'Refused';
}

/** The subresource is not there at all, rather than the object. */
export function lacksSubresource(error: unknown, name: string): boolean {
  return (
    error instanceof KubeError &&
    (error.status === 405 || (error.status === 404 && !error.message.includes(`"${name}"`)))
  );
}
