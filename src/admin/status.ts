/**
 * How all of it does, and why somebody gets the policy that they get.
 * @module
 */
import type { Problem } from '../policy/policy.ts';
import { explainSelection } from '../policy/selection.ts';
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
  }),
  terminals: objectOf({
    total: number,
    phases: objectOf(Object.fromEntries(phases.map((phase) => [phase, number]))),
  }),
});

type Options = Pick<
  AdminApiOptions,
  'policies' | 'writer' | 'reconciler' | 'backend' | 'version' | 'unknownGroups'
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

function statusOf({ policies, writer, reconciler, backend, version }: Options) {
  const { revision, problems, policies: inForce } = policies.current;
  const found = [...reconciler.entries].map(phaseOf);
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
    },
    terminals: { total: found.length, phases: Object.fromEntries(ofPhase) },
  };
}

function problemAnswer({ severity, file, line, column, path, message, hint }: Problem) {
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
