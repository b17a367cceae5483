/**
 * Policies, in the shape that Open WebUI's admin page reads and writes, and in ours.
 * @module
 */
import { BadRequestError, PolicyUnknownError } from '../errors.ts';
import type { Policy } from '../policy/policy.ts';
import type { Changes } from '../policy/policy-writer.ts';
import { changesOf } from '../policy/spec-changes.ts';
import type { PolicyStatus } from '../reconcile/policy-status.ts';
import type { PolicyId } from '../terminal/terminal.ts';
import type { AdminApiOptions } from './api.ts';
import { lifecycleRoutes } from './lifecycle.ts';
import { editsOfFields, fieldsOf, type PolicyFields, policyFieldSchemas } from './policy-fields.ts';
import { statusAnswer } from './policy-status.ts';
import { type AdminRoute, listOf, nullable, objectOf, refTo, route, type Schema } from './route.ts';

interface PolicyBody extends PolicyFields {
  readonly spec?: object;
}

interface NewPolicyBody {
  readonly id: string;
  readonly data?: PolicyFields;
  readonly spec?: object;
}

const spec: Schema = {
  type: 'object',
  description: "The policy's whole spec, as in its file; fields left out get their defaults.",
};
const fields: Schema = { type: 'object', additionalProperties: false, properties: policyFieldSchemas };
const params = { id: "The policy's id, as in /p/{id}/." };

/** A policy as it is answered. */
export const policyAnswer: Schema = objectOf({
  id: { type: 'string' },
  data: refTo('PolicyFields'),
  spec: refTo('PolicySpec'),
  extends: nullable('string', { description: 'The policy of which everything holds that it does not say.' }),
  declared_at: { type: 'string', description: 'file:line, or (built-in):1.' },
  revision: {
    type: 'string',
    description: 'Of all policies in force; it changes exactly when one of them does.',
  },
  status: refTo('PolicyStatus'),
});

type Options = Pick<AdminApiOptions, 'policies' | 'writer' | 'statuses'>;

/** `GET` lists and shows, `POST`, `PUT` and `DELETE` edit the files that declare them. */
export function policyRoutes({ policies, writer, statuses }: Options): readonly AdminRoute[] {
  const withStatus = (policy: Policy, status: PolicyStatus) =>
    answerOf(policy, policies.current.revision, status);
  const answer = (policy: Policy) => withStatus(policy, statuses.of(policy));
  const named = (id: string) => policies.current.policies.get(id as PolicyId);
  const find = (id = '') => {
    const policy = named(id);
    if (policy === undefined) throw new PolicyUnknownError(id);
    return policy;
  };
  return [
    route({
      method: 'GET',
      path: '/policies',
      id: 'listPolicies',
      summary: 'All policies in force.',
      description: 'Empty for callers by whom Open WebUI only finds out what this is.',
      answers: { 200: listOf(refTo('Policy')) },
      recognition: true,
      handle: ({ admin }) => {
        if (admin === null) return [];
        const all = statuses.all();
        return [...policies.current.policies.values()].map((policy) =>
          withStatus(policy, all.get(policy.id) ?? statuses.of(policy)),
        );
      },
    }),
    route<unknown, NewPolicyBody>({
      method: 'POST',
      path: '/policies',
      id: 'createPolicy',
      summary: 'Declares a new policy in a file of its own.',
      body: objectOf({ id: { type: 'string' }, data: fields, spec }, ['data', 'spec']),
      answers: { 201: refTo('Policy') },
      problems: [400, 409, 422],
      handle: async ({ body }) => answer(await writer.create(body.id, changesOfBody(body.data, body.spec))),
    }),
    route({
      method: 'GET',
      path: '/policies/{id}',
      id: 'getPolicy',
      summary: 'One policy.',
      params,
      answers: { 200: refTo('Policy') },
      problems: [404],
      handle: (request) => answer(find(request.params.id)),
    }),
    route<unknown, PolicyBody>({
      method: 'PUT',
      path: '/policies/{id}',
      id: 'putPolicy',
      summary:
        "Sets a policy's fields, or its whole spec, where it is declared; makes it where there is none.",
      description:
        'What it says already is never refused, so that Open WebUI can save a connection where policies are not written here.',
      params,
      body: { type: 'object', additionalProperties: false, properties: { ...policyFieldSchemas, spec } },
      answers: { 200: refTo('Policy'), 201: refTo('Policy') },
      problems: [400, 409, 422],
      handle: async ({ params: { id = '' }, body: { spec: whole, ...data }, status }) => {
        const said = Object.keys(data).length > 0 || whole === undefined ? data : undefined;
        const { policy, created } = await writer.put(id, changesOfBody(said, whole));
        if (created) status(201);
        return answer(policy);
      },
    }),
    route({
      method: 'DELETE',
      path: '/policies/{id}',
      id: 'deletePolicy',
      summary: "Takes the policy out of its file, or the file away. Terminals' files stay.",
      params,
      answers: { 200: objectOf({ ok: { const: true } }) },
      problems: [404, 409],
      handle: async ({ params: { id = '' } }) => {
        await writer.remove(id);
        return { ok: true };
      },
    }),
    ...lifecycleRoutes(named),
  ];
}

function answerOf(policy: Policy, revision: string, status: PolicyStatus) {
  const { id, spec: whole, declaredAt } = policy;
  const declared_at = `${declaredAt.file}:${declaredAt.line}`;
  return {
    id,
    data: fieldsOf(whole),
    spec: whole,
    extends: policy.extends ?? null,
    declared_at,
    revision,
    status: statusAnswer(status),
  };
}

/** @throws BadRequestError where both are there */
function changesOfBody(data: PolicyFields | undefined, whole: object | undefined): Changes {
  if (data !== undefined && whole !== undefined) {
    throw new BadRequestError("The body has both Open WebUI's fields and a spec.", 'Send one of the two.');
  }
  if (whole !== undefined) return (current) => changesOf(whole, current);
  return (current) => editsOfFields(data ?? {}, current);
}
