/**
 * The plan: what the server is about to do, and what other policy files would have it do.
 * @module
 */
import { seenFromElsewhere } from '../policy/moved.ts';
import type { Policy, PolicySet } from '../policy/policy.ts';
import { buildPolicySet, type PolicyRules } from '../policy/policy-set.ts';
import { windowOpensAt } from '../policy/schedule.ts';
import { actionWords, type Declared, planReport } from '../reconcile/plan-report.ts';
import type { Template, TerminalName } from '../terminal/terminal.ts';
import type { AdminApiOptions } from './api.ts';
import { type AdminRoute, listOf, nullable, objectOf, refTo, route, type Schema } from './route.ts';
import { phases } from './terminals.ts';

interface Body {
  readonly files: readonly { readonly path: string; readonly text: string }[];
}

/** As much as a policy file may have; directories of policies are far smaller. */
const bodyLimit = 1024 * 1024;

const text: Schema = { type: 'string' };
const changes = listOf(objectOf({ field: text, from: nullable('string'), to: nullable('string') }));

/** A plan as it is answered. */
export const planAnswer: Schema = objectOf({
  revision: { ...text, description: 'Of the policies that it is the plan of.' },
  source: nullable('string', { description: 'What their source calls that state, such as a Git commit.' }),
  policies: listOf(
    objectOf({
      policy: text,
      declared: { ...text, description: 'file:line.' },
      change: { enum: ['added', 'changed', 'removed'] },
      changes: { ...changes, description: 'Values of variables are only (set) or (changed).' },
    }),
  ),
  rollouts: listOf(
    objectOf({
      policy: text,
      replaced: { type: 'integer', description: 'How many terminals are replaced in all.' },
      parallel: { type: 'integer', description: 'How many at a time, once one has run.' },
    }),
  ),
  terminals: listOf(
    objectOf({
      terminal: text,
      user: text,
      policy: text,
      context: nullable('string'),
      phase: { enum: phases },
      reason: nullable('string', { description: 'Why it is left as it is right now.' }),
      steps: listOf(
        objectOf({
          action: { enum: actionWords },
          when: { ...text, description: '`now`, `at the next start`, or a time.' },
          reason: text,
          change: {
            type: 'boolean',
            description: 'It comes from these policies, not from the ordinary course.',
          },
          changes,
        }),
      ),
    }),
  ),
  problems: listOf(refTo('PolicyProblem')),
});

type Options = Pick<AdminApiOptions, 'policies' | 'reconciler' | 'templates' | 'rules'>;

/** `GET` and `POST /plan`. */
export function planRoutes(options: Options): readonly AdminRoute[] {
  const { policies, reconciler, rules } = options;
  const report = (after: Declared, before: Declared | null) =>
    planReport({
      after,
      before,
      terminals: reconciler.entries,
      opensAt: windowOpensAt,
      resetAt: (policy, name, kept) => reconciler.resets.foresee(policy, name, kept),
      now: Date.now(),
    });
  return [
    route({
      method: 'GET',
      path: '/plan',
      id: 'getPlan',
      summary: 'What is about to be done with each terminal, when, and why.',
      answers: { 200: refTo('Plan') },
      handle: () => report(inForce(options), null),
    }),
    route<unknown, Body>({
      method: 'POST',
      path: '/plan',
      id: 'planPolicies',
      summary: 'What these policy files would change, in place of all that are in force; nothing is done.',
      description: 'A policy whose file has errors counts as it is now, with its problems in the answer.',
      bodyLimit,
      body: objectOf({
        files: {
          ...listOf(objectOf({ path: { ...text, minLength: 1, maxLength: 1024 }, text })),
          maxItems: 1000,
        },
      }),
      answers: { 200: refTo('Plan') },
      problems: [400],
      handle: ({ body }) => report(proposed(body.files, policies.current, rules, options), inForce(options)),
    }),
  ];
}

function inForce({ policies, reconciler }: Options): Declared {
  return {
    set: policies.current,
    templateOf: (policy, name) => reconciler.rollouts.templateOf(policy, name),
  };
}

function proposed(
  files: Body['files'],
  current: PolicySet,
  rules: PolicyRules,
  { reconciler, templates }: Options,
): Declared {
  const set = buildPolicySet(files, seenFromElsewhere(current, files), rules);
  return {
    set,
    templateOf: (policy, name) => heldBack(policy, name) ?? templates.of(policy),
  };

  /** A revision that does not run now would not run then: its rollout is where it was. */
  function heldBack(policy: Policy, name: TerminalName): Template | null {
    const now = current.policies.get(policy.id);
    const newest = templates.of(policy);
    if (now === undefined || templates.of(now).revision !== newest.revision) return null;
    const { revision, workload } = reconciler.rollouts.templateOf(now, name);
    return { ...newest, revision, workload };
  }
}
