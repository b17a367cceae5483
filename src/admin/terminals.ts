/**
 * Terminals as the reconciler knows them; the engine is not asked.
 * @module
 */
import { NotFoundError } from '../errors.ts';
import type { Entry } from '../reconcile/registry.ts';
import { authorityOf } from '../terminal/address.ts';
import type { Phase } from '../terminal/terminal.ts';
import type { AdminApiOptions } from './api.ts';
import { type AdminRoute, listOf, nullable, objectOf, refTo, route, type Schema } from './route.ts';

export const phases = [
  'Pending',
  'Provisioning',
  'Running',
  'Idle',
  'Error',
] as const satisfies readonly Phase[];

/** Which terminals are meant; what is left out says nothing. */
export interface TerminalFilter {
  readonly user_id?: string;
  readonly policy_id?: string;
  /** `default`: those without a context. */
  readonly context_id?: string;
}

interface Query extends TerminalFilter {
  readonly phase?: Phase;
  readonly limit: number;
  readonly cursor?: string;
}

/** The schemas of `TerminalFilter`. */
export const filterSchemas = {
  user_id: { type: 'string', maxLength: 512 },
  policy_id: { type: 'string', maxLength: 512 },
  context_id: {
    type: 'string',
    maxLength: 512,
    description: '`default`: those of no chat and no automation.',
  },
} as const satisfies Readonly<Record<keyof TerminalFilter, Schema>>;

const time = { format: 'date-time' };

/** A terminal as it is answered. */
export const terminalAnswer: Schema = objectOf({
  name: { type: 'string' },
  user_id: { type: 'string' },
  policy_id: { type: 'string' },
  context_id: nullable('string'),
  phase: { enum: phases },
  detail: nullable('string', { description: 'What a start is busy with, or what is wrong.' }),
  revision: nullable('string', { description: 'Of what its container was made from.' }),
  outdated_since: nullable('string', { ...time, description: 'Since when it differs from its policy.' }),
  address: nullable('string'),
  last_activity_at: { type: 'string', ...time },
  in_flight: { type: 'integer', description: 'Requests under way.' },
  waiting: { type: 'integer', description: 'Requests that wait for it to run.' },
  failures: { type: 'integer', description: 'Failed tries in a row.' },
});

/** What fits the filter, sorted by name. */
export function terminalsOf(
  entries: Iterable<Readonly<Entry>>,
  filter: TerminalFilter,
): readonly Readonly<Entry>[] {
  return [...fitting(entries, filter)].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function fitting(
  entries: Iterable<Readonly<Entry>>,
  { user_id, policy_id, context_id }: TerminalFilter,
): readonly Readonly<Entry>[] {
  return [...entries].filter(
    ({ key }) =>
      (user_id === undefined || key.user === user_id) &&
      (policy_id === undefined || key.policy === policy_id) &&
      (context_id === undefined || (key.context ?? 'default') === context_id),
  );
}

/** The first so many by name, without all the others being sorted as well. */
function firstByName(entries: readonly Readonly<Entry>[], count: number): readonly Readonly<Entry>[] {
  const first: Readonly<Entry>[] = [];
  for (const entry of entries) {
    const last = first.at(-1);
    if (last !== undefined && first.length === count && entry.name > last.name) continue;
    const place = first.findLastIndex(({ name }) => name < entry.name) + 1;
    first.splice(place, 0, entry);
    if (first.length > count) first.pop();
  }
  return first;
}

export function phaseOf({ actual }: Readonly<Entry>): Phase {
  return actual?.phase ?? 'Pending';
}

/** `GET /terminals` and `GET /terminals/{name}`. */
export function terminalRoutes({ reconciler }: Pick<AdminApiOptions, 'reconciler'>): readonly AdminRoute[] {
  return [
    route<Query>({
      method: 'GET',
      path: '/terminals',
      id: 'listTerminals',
      summary: 'Terminals, by name.',
      query: {
        ...filterSchemas,
        phase: { type: 'string', enum: phases },
        limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
        cursor: { type: 'string', maxLength: 512, description: '`next` of the page before.' },
      },
      answers: {
        200: objectOf({
          terminals: listOf(refTo('Terminal')),
          total: { type: 'integer', description: 'On all pages.' },
          next: nullable('string', { description: 'Cursor of the next page; null: this is the last.' }),
        }),
      },
      problems: [400],
      handle: ({ query }) => page(reconciler.entries, query),
    }),
    route({
      method: 'GET',
      path: '/terminals/{name}',
      id: 'getTerminal',
      summary: 'One terminal.',
      params: { name: "The terminal's name, which is its container's." },
      answers: { 200: refTo('Terminal') },
      problems: [404],
      handle: ({ params: { name } }) => {
        const entry = [...reconciler.entries].find((each) => each.name === name);
        if (entry) return answerOf(entry);
        throw new NotFoundError(`There is no terminal "${name}".`, 'GET /api/v1/terminals lists them.');
      },
    }),
  ];
}

function page(entries: Iterable<Readonly<Entry>>, { phase, limit, cursor = '', ...filter }: Query) {
  const all = fitting(entries, filter).filter((entry) => phase === undefined || phaseOf(entry) === phase);
  // A name rather than a number: what comes and goes meanwhile moves no page.
  const after = all.filter(({ name }) => name > cursor);
  const shown = firstByName(after, limit);
  const next = after.length > limit ? (shown.at(-1)?.name ?? null) : null;
  return { terminals: shown.map(answerOf), total: all.length, next };
}

/** Field by field, so that the terminal's key is never among them. */
function answerOf(entry: Readonly<Entry>) {
  const { key, name, actual, progress, driftedSince, lastActivityAt, inFlight, waiters, failures } = entry;
  const detail = actual && 'detail' in actual ? actual.detail : null;
  const address = actual?.phase === 'Running' ? authorityOf(actual.address) : null;
  return {
    name,
    user_id: key.user,
    policy_id: key.policy,
    context_id: key.context,
    phase: phaseOf(entry),
    detail: progress ?? detail,
    revision: actual?.revision ?? null,
    outdated_since: driftedSince === null ? null : new Date(driftedSince).toISOString(),
    address,
    last_activity_at: new Date(lastActivityAt).toISOString(),
    in_flight: inFlight,
    waiting: waiters.size,
    failures,
  };
}
