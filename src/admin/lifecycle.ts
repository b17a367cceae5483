/**
 * The lifecycle of a policy as Open WebUI's admin page reads and writes it: when the homes of its terminals are emptied.
 * @module
 */
import { isDeepStrictEqual } from 'node:util';
import { ConflictError, PolicyUnknownError } from '../errors.ts';
import { builtinFile } from '../policy/builtin.ts';
import type { Policy } from '../policy/policy.ts';
import { type AdminRoute, listOf, nullable, objectOf, route, type Schema } from './route.ts';

interface Lifecycle {
  readonly reset?: {
    readonly schedule?: string | null;
    readonly timezone?: string | null;
    readonly keep?: readonly string[] | null;
  } | null;
}

const text: Schema = { type: 'string' };
const answer = objectOf({
  policy_id: text,
  data: {
    type: 'object',
    additionalProperties: false,
    properties: { reset: objectOf({ schedule: text, timezone: text, keep: listOf(text) }) },
  },
});
const body: Schema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    reset: nullable('object', {
      properties: {
        schedule: nullable('string'),
        timezone: nullable('string', { description: 'Left out: UTC.' }),
        keep: nullable('array', { items: text }),
      },
    }),
  },
};

const path = '/policies/{id}/lifecycle';
const params = { id: "The policy's id, as in /p/{id}/." };

/** Open WebUI reads it with every policy, also before that is there, and writes it back with every one that is saved. */
export function lifecycleRoutes(policyOf: (id: string) => Policy | undefined): readonly AdminRoute[] {
  return [
    route({
      method: 'GET',
      path,
      id: 'getPolicyLifecycle',
      summary: "When the homes of a policy's terminals are emptied; empty: never.",
      params,
      answers: { 200: answer },
      handle: ({ params: { id = '' } }) => ({ policy_id: id, data: lifecycleOf(policyOf(id)) }),
    }),
    route<unknown, Lifecycle>({
      method: 'PUT',
      path,
      id: 'putPolicyLifecycle',
      summary: 'Takes only what is so already: resets are declared with the policy.',
      params,
      body,
      answers: { 200: answer },
      problems: [400, 404, 409],
      handle: ({ params: { id = '' }, body: { reset } }) => {
        const policy = policyOf(id);
        if (policy === undefined) throw new PolicyUnknownError(id);
        const data = lifecycleOf(policy);
        if (isDeepStrictEqual(resetOf(reset), resetOf(data.reset))) return { policy_id: id, data };
        throw refusal(policy);
      },
    }),
  ];
}

function lifecycleOf(policy: Policy | undefined): Lifecycle {
  const reset = policy?.spec.reset;
  return reset === undefined ? {} : { reset };
}

/** With what is left out; null: there is none. */
function resetOf(reset: Lifecycle['reset']) {
  const schedule = reset?.schedule?.trim() ?? '';
  return schedule === '' ? null : { schedule, timezone: reset?.timezone ?? 'UTC', keep: reset?.keep ?? [] };
}

function refusal({ id, declaredAt: { file, line } }: Policy): ConflictError {
  return new ConflictError(
    `The reset of the policy "${id}" is declared with it.`,
    file === builtinFile ? 'Declare it in a file, with spec.reset.' : `Set spec.reset in ${file}:${line}.`,
  );
}
