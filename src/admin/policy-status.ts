/** The status of a policy, as it is answered. @module */
import { conditionTypes, type PolicyStatus } from '../reconcile/policy-status.ts';
import { listOf, nullable, objectOf, refTo, type Schema } from './route.ts';
import { problemAnswer } from './status.ts';

const text: Schema = { type: 'string' };
const number: Schema = { type: 'integer' };

/** The schema of `statusAnswer`. */
export const policyStatusSchema: Schema = objectOf({
  conditions: {
    ...listOf(
      objectOf({
        type: { enum: conditionTypes },
        status: { enum: ['True', 'False'] },
        reason: { ...text, description: 'One word in CamelCase.' },
        message: text,
        lastTransitionTime: { ...text, format: 'date-time' },
      }),
    ),
    description: 'As kstatus has them: one of the three holds.',
  },
  observed_revision: { ...text, description: 'Of all policies in force, of which the conditions speak.' },
  observed_source: nullable('string', { description: 'What their source calls it, such as a Git commit.' }),
  revision: { ...text, description: 'Of what its terminals are made from.' },
  revision_in_force: { ...text, description: 'The last that ran, until the newest has.' },
  failures: { ...number, description: 'Starts of the newest revision that failed in a row.' },
  stall: {
    oneOf: [
      objectOf({
        since: { ...text, format: 'date-time' },
        terminal: { ...text, description: 'The one that failed last.' },
        reason: text,
        last_lines: { ...listOf(text), description: 'That it wrote, the newest last.' },
      }),
      { type: 'null' },
    ],
    description: 'Why the rollout does not go on.',
  },
  desired: { ...number, description: 'Terminals that are not stopped for want of use.' },
  updated: { ...number, description: 'Of these, those as the newest revision declares.' },
  available: { ...number, description: 'Of these, those that run.' },
  idle: { ...number, description: 'Stopped terminals.' },
  warm: { ...number, description: "Those that are ready and nobody's yet; in none of the other numbers." },
  problems: listOf(refTo('PolicyProblem')),
});

export function statusAnswer(status: PolicyStatus) {
  const { conditions, failures, stall, desired, updated, available, idle, warm, problems } = status;
  return {
    conditions,
    observed_revision: status.observedRevision,
    observed_source: status.observedSource,
    revision: status.revision,
    revision_in_force: status.revisionInForce,
    failures,
    stall: stall && {
      since: new Date(stall.since).toISOString(),
      terminal: stall.terminal,
      reason: stall.reason,
      last_lines: stall.lastLines,
    },
    desired,
    updated,
    available,
    idle,
    warm,
    problems: problems.map(problemAnswer),
  };
}
