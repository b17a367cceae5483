/**
 * Loggers that say whose a request is: made once for a terminal in use, since these fields are most of a request's line.
 * @module
 */
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import type { AdmittedBy } from '../identity/identity.ts';
import type { Reached } from '../reconcile/reconciler.ts';
import type { Route } from './route.ts';

interface Bound {
  readonly admittedBy: AdmittedBy;
  readonly log: Logger;
}

/** More than are busy at once, and a few hundred KiB. */
const most = 1_000;

export class RouteLoggers {
  readonly #log: Logger;
  readonly #bound = new LRUCache<Reached['use'], Bound>({ max: most });

  constructor(log: Logger) {
    this.#log = log;
  }

  /** @param reached null: the terminal was not reached */
  of(route: Route, reached: Reached | null): Logger {
    if (reached === null) return this.#log.child(fieldsOf(route));
    const { admittedBy } = route.identity;
    const known = this.#bound.get(reached.use);
    if (known?.admittedBy === admittedBy) return known.log;
    const log = this.#log.child({ ...fieldsOf(route), terminal: reached.terminal.name });
    this.#bound.set(reached.use, { admittedBy, log });
    return log;
  }
}

function fieldsOf({ identity, key }: Route) {
  return {
    user: identity.user,
    policy: key.policy,
    context: key.context ?? undefined,
    admittedBy: identity.admittedBy,
  };
}
