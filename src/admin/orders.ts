/**
 * Stopping terminals, and having them made anew.
 * @module
 */
import { BadRequestError } from '../errors.ts';
import type { PolicySet } from '../policy/policy.ts';
import { problemOf } from '../proxy/problem.ts';
import type { Order } from '../reconcile/actions.ts';
import type { Entry } from '../reconcile/registry.ts';
import type { Admin } from './access.ts';
import type { AdminApiOptions } from './api.ts';
import { type AdminRoute, listOf, objectOf, route, type Schema } from './route.ts';
import { filterSchemas, phaseOf, type TerminalFilter, terminalsOf } from './terminals.ts';

interface Body extends TerminalFilter {
  readonly only_idle: boolean;
  readonly reset?: boolean;
}

/** Of a terminal whose policy is gone. */
const idleAfterMinutes = 5;

const nullableFilter = Object.fromEntries(
  Object.entries(filterSchemas).map(([name, schema]) => [name, { ...schema, type: ['string', 'null'] }]),
);
const number: Schema = { type: 'integer' };
const counts = {
  matched: number,
  skipped_active: { ...number, description: 'In use, and only idle ones were meant.' },
  terminals: { ...listOf({ type: 'string' }), description: 'Those with which it was done.' },
  failed: listOf(objectOf({ name: { type: 'string' }, detail: { type: 'string' } })),
};

function bodyOf(onlyIdle: boolean, more: Readonly<Record<string, Schema>> = {}): Schema {
  const properties = { ...nullableFilter, only_idle: { type: 'boolean', default: onlyIdle }, ...more };
  return { type: 'object', additionalProperties: false, properties };
}

type Options = Pick<AdminApiOptions, 'reconciler' | 'policies'>;

/** `POST /terminals/stop` and `/refresh`. */
export function orderRoutes({ reconciler, policies }: Options): readonly AdminRoute[] {
  const give = async (body: Body, kind: Order['kind'], admin: Admin | null) => {
    const matched = terminalsOf(reconciler.entries, filterOf(body)).filter(
      (entry) => kind !== 'stop' || phaseOf(entry) !== 'Idle',
    );
    const meant = body.only_idle ? matched.filter((entry) => isIdle(entry, policies.current)) : matched;
    const order = { kind, reason: `an administrator asked for it (${admin?.user ?? admin?.admittedBy})` };
    const done = await Promise.allSettled(meant.map(({ name }) => reconciler.order(order, name)));
    return resultOf(matched.length, meant, done);
  };
  return [
    route<unknown, Body>({
      method: 'POST',
      path: '/terminals/stop',
      id: 'stopTerminals',
      summary: 'Stops terminals; the next request starts them again.',
      body: bodyOf(false),
      answers: { 200: objectOf({ ...counts, stopped: number }) },
      problems: [400],
      handle: async ({ body, admin }) => {
        const result = await give(body, 'stop', admin);
        return { ...result, stopped: result.terminals.length };
      },
    }),
    route<unknown, Body>({
      method: 'POST',
      path: '/terminals/refresh',
      id: 'refreshTerminals',
      summary:
        'Removes containers, so that the next request makes them anew; files stay, unless they are to be reset.',
      body: bodyOf(true, {
        reset: {
          type: 'boolean',
          default: false,
          description: 'Wipe the homes, too; needs a user or a policy.',
        },
      }),
      answers: { 200: objectOf({ ...counts, refreshed: number, reset: number }) },
      problems: [400],
      handle: async ({ body, admin }) => {
        const { user_id, policy_id } = filterOf(body);
        if (body.reset && user_id === undefined && policy_id === undefined) {
          throw new BadRequestError("This would wipe everybody's files.", 'Name a user_id or a policy_id.');
        }
        const result = await give(body, body.reset ? 'reset' : 'refresh', admin);
        const refreshed = result.terminals.length;
        return { ...result, refreshed, reset: body.reset ? refreshed : 0 };
      },
    }),
  ];
}

/** Null says as little as nothing at all. */
function filterOf({ user_id, policy_id, context_id }: TerminalFilter): TerminalFilter {
  return {
    ...(user_id == null ? {} : { user_id }),
    ...(policy_id == null ? {} : { policy_id }),
    ...(context_id == null ? {} : { context_id }),
  };
}

/** Quiet for as long as its policy counts as idle; one that does not run is, unless it is about to. */
function isIdle(entry: Readonly<Entry>, { policies }: PolicySet): boolean {
  if (entry.inFlight > 0 || entry.waiters.size > 0) return false;
  const phase = phaseOf(entry);
  if (phase !== 'Running') return phase === 'Idle' || phase === 'Error';
  const minutes = policies.get(entry.key.policy)?.spec.rollout.idleAfterMinutes ?? idleAfterMinutes;
  return Date.now() - entry.lastActivityAt >= minutes * 60_000;
}

/** @throws what the first one failed by, where nothing was done with any */
function resultOf(
  matched: number,
  meant: readonly Readonly<Entry>[],
  done: readonly PromiseSettledResult<void>[],
) {
  const terminals = meant.flatMap(({ name }, index) => (done[index]?.status === 'fulfilled' ? [name] : []));
  const reasons = meant.flatMap(({ name }, index) => {
    const result = done[index];
    return result?.status === 'rejected' ? [{ name, reason: result.reason as unknown }] : [];
  });
  const [first] = reasons;
  if (first !== undefined && terminals.length === 0) throw first.reason;
  const failed = reasons.map(({ name, reason }) => ({ name, detail: problemOf(reason).detail }));
  return { matched, skipped_active: matched - meant.length, terminals, failed };
}
