/**
 * How all of it does, and why somebody gets the policy that they get.
 * @module
 */
import type { Problem } from '../policy/policy.ts';
import { explainSelection } from '../policy/selection.ts';
import type { ConditionType } from '../reconcile/policy-status.ts';
import type { AdminApiOptions } from './api.ts';
import { type AdminRoute, listOf, nullable, objectOf, refTo, route, type Schema } from './route.ts';
import { phaseOf, phases } from './terminals.ts';

interface SelectionQuery {
  readonly groups?: string;
  readonly policy?: string;
}

const text: Schema = { type: 'string' };
const number: Schema = { type: 'integer' };

/** What is wrong with a policy file, as it is answered. */
export const policyProblem: Schema = objectOf({
  severity: { enum: ['error', 'warning'] },
  file: text,
  line: number,
  column: number,
  path: { ...text, description: 'Of the field in the document; empty: the file as a whole.' },
  message: text,
  hint: text,
});

const statusAnswer: Schema = objectOf({
  version: text,
  backend: text,
  synced: { type: 'boolean', description: 'Whether the backend has answered yet.' },
  unenforced: { ...listOf(text), description: "What the backend can't enforce of a policy." },
  policies: objectOf({
    revision: text,
    count: number,
    writable: { type: 'boolean', description: 'Whether this API may change them.' },
    problems: listOf(refTo('PolicyProblem')),
    source: nullable('string', { description: 'What their source calls that state, such as a Git commit.' }),
    ready: { ...number, description: 'How many are ready.' },
    reconciling: { ...listOf(text), description: 'Those that have terminals on an older revision.' },
    stalled: { ...listOf(text), description: 'Those that need somebody; GET /policies/{id} says why.' },
  }),
  terminals: objectOf({
    total: number,
    phases: objectOf(Object.fromEntries(phases.map((phase) => [phase, number]))),
  }),
});

type Options = Pick<
  AdminApiOptions,
  'policies' | 'writer' | 'reconciler' | 'statuses' | 'backend' | 'version' | 'unknownGroups'
>;

/** `GET /status` and `GET /selection`. */
export function statusRoutes(options: Options): readonly AdminRoute[] {
  const { policies, unknownGroups } = options;
  return [
    route({
      method: 'GET',
      path: '/status',
      id: 'getStatus',
      summary: 'Version, backend, policies and terminals at a glance.',
      answers: { 200: statusAnswer },
      handle: () => statusOf(options),
    }),
    route<SelectionQuery>({
      method: 'GET',
      path: '/selection',
      id: 'explainSelection',
      summary: 'Which policy somebody with these groups gets, step by step.',
      query: {
        groups: {
          ...text,
          maxLength: 8192,
          description: 'Names or ids, separated by commas; left out: unknown.',
        },
        policy: { ...text, maxLength: 512, description: 'The policy named in the path.' },
      },
      answers: {
        200: objectOf({
          kind: { enum: ['selected', 'unknown', 'refused'] },
          policy: nullable('string'),
          reason: nullable('string'),
          steps: listOf(text),
        }),
      },
      problems: [400],
      handle: ({ query }) => {
        const asked = { named: query.policy ?? null, groups: groupsOf(query.groups) };
        const selection = explainSelection(policies.current, asked, unknownGroups);
        return {
          kind: selection.kind,
          policy: selection.kind === 'selected' ? selection.policy.id : null,
          reason: selection.kind === 'refused' ? selection.reason : null,
          steps: selection.steps,
        };
      },
    }),
  ];
}

function statusOf({ policies, writer, reconciler, statuses, backend, version }: Options) {
  const { revision, problems, policies: inForce, source = null } = policies.current;
  const found = [...reconciler.entries].map(phaseOf);
  const conditions = [...statuses.all()];
  const whose = (type: ConditionType) =>
    conditions
      .filter(([, status]) => status.conditions.some((each) => each.type === type && each.status === 'True'))
      .map(([id]) => id);
  const ofPhase = phases.map((phase) => [phase, found.filter((each) => each === phase).length]);
  return {
    version,
    backend: backend.kind,
    synced: reconciler.synced,
    unenforced: backend.unenforced,
    policies: {
      revision,
      count: inForce.size,
      writable: writer.enabled,
      problems: problems.map(problemAnswer),
      source,
      ready: whose('Ready').length,
      reconciling: whose('Reconciling'),
      stalled: whose('Stalled'),
    },
    terminals: { total: found.length, phases: Object.fromEntries(ofPhase) },
  };
}

/** Fields only, so that nothing else of a problem's object is answered. */
export function problemAnswer({ severity, file, line, column, path, message, hint }: Problem) {
  return { severity, file, line, column, path, message, hint };
}

function groupsOf(names: string | undefined) {
  if (names === undefined) return null;
  return names
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
    .map((name) => ({ id: null, name }));
}
