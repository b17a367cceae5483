/**
 * A policy in the fields of Open WebUI's admin page, both ways.
 * @module
 */
import { BadRequestError } from '../errors.ts';
import type { PolicySpec } from '../policy/policy.ts';
import type { Edit } from '../policy/policy-text.ts';
import { changesOf } from '../policy/spec-changes.ts';
import { parseCpu, parseMemory } from '../terminal/quantity.ts';
import { nullable, type Schema } from './route.ts';

/** What Open WebUI reads and writes of a policy; what is null or left out says nothing. */
export interface PolicyFields {
  readonly image?: string | null;
  readonly env?: Readonly<Record<string, string>> | null;
  readonly cpu_limit?: string | number | null;
  readonly memory_limit?: string | number | null;
  /** Size of the home; left out: it does not outlive the container. */
  readonly storage?: string | number | null;
  readonly storage_mode?: string | null;
  readonly idle_timeout_minutes?: number | null;
  readonly restricted?: boolean | null;
  readonly pod_security_context?: object | null;
  readonly container_security_context?: object | null;
  readonly podTemplate?: object | null;
}

const quantity: Schema = { type: ['string', 'number', 'null'] };
const object: Schema = nullable('object');

/** The schema of `PolicyFields`. */
export const policyFieldSchemas = {
  image: nullable('string', { description: "Left out: the server's default." }),
  env: nullable('object', { additionalProperties: { type: 'string' } }),
  cpu_limit: quantity,
  memory_limit: quantity,
  storage: {
    ...quantity,
    description: 'Size of the home; left out: the home does not outlive the container.',
  },
  storage_mode: nullable('string', { description: 'Only per-user.' }),
  idle_timeout_minutes: nullable('number', { minimum: 0, description: '0, or left out: never.' }),
  restricted: nullable('boolean', { description: 'Only false.' }),
  pod_security_context: object,
  container_security_context: object,
  podTemplate: nullable('object', { description: 'Left out, or empty: as it is.' }),
} as const satisfies Readonly<Record<keyof PolicyFields, Schema>>;

/** The fields that say a policy. */
export function fieldsOf({
  image,
  env,
  resources,
  persistence,
  idleTimeoutMinutes,
  podTemplate,
}: PolicySpec): PolicyFields {
  return {
    image,
    env,
    cpu_limit: String(resources.limits.cpu),
    memory_limit: String(resources.limits.memory),
    ...(persistence.enabled ? { storage: String(persistence.size), storage_mode: 'per-user' } : {}),
    idle_timeout_minutes: idleTimeoutMinutes,
    ...(podTemplate === undefined ? {} : { podTemplate }),
  };
}

/**
 * What makes a policy say these fields. Those that Open WebUI leaves out when they are off are off; what its page has no field
 * for stays.
 * @throws BadRequestError for what a policy can't say
 */
export function editsOfFields(fields: PolicyFields, current: PolicySpec | null): readonly Edit[] {
  refuseUnknown(fields);
  const { image, env, cpu_limit, memory_limit, storage, idle_timeout_minutes, podTemplate } = fields;
  const said = (value: string | number | null | undefined) =>
    value === '' ? undefined : (value ?? undefined);
  const size = said(storage);
  return [
    ...edit(['image'], said(image), current?.image),
    ...edit(['resources', 'limits', 'cpu'], said(cpu_limit), current?.resources.limits.cpu, parseCpu),
    ...edit(
      ['resources', 'limits', 'memory'],
      said(memory_limit),
      current?.resources.limits.memory,
      parseMemory,
    ),
    ...edit(['persistence', 'enabled'], size !== undefined, current?.persistence.enabled),
    ...(size === undefined
      ? []
      : edit(['persistence', 'size'], size, current?.persistence.size, parseMemory)),
    ...edit(['idleTimeoutMinutes'], idle_timeout_minutes ?? 0, current?.idleTimeoutMinutes),
    ...changesOf(env ?? {}, current?.env ?? {}, ['spec', 'env']),
    ...(isEmpty(podTemplate)
      ? []
      : changesOf(podTemplate, current?.podTemplate ?? {}, ['spec', 'podTemplate'])),
  ];
}

type Value = string | number | boolean;

/** None where the policy says the same already, in whatever words. */
function edit(
  path: readonly string[],
  value: Value | undefined,
  now: Value | undefined,
  parse?: (quantity: string | number) => number,
): readonly Edit[] {
  if (value !== undefined && now !== undefined && isSame(value, now, parse)) return [];
  return [{ path: ['spec', ...path], value }];
}

function isSame(a: Value, b: Value, parse: ((quantity: string | number) => number) | undefined): boolean {
  if (a === b) return true;
  if (parse === undefined || typeof a === 'boolean' || typeof b === 'boolean') return false;
  try {
    return parse(a) === parse(b);
  } catch {
    // No quantity at all, which is said where the policy is checked.
    return false;
  }
}

function isEmpty(map: object | null | undefined): map is null | undefined {
  return Object.keys(map ?? {}).length === 0;
}

function refuseUnknown(fields: PolicyFields): void {
  const { storage_mode, restricted, pod_security_context, container_security_context } = fields;
  if ((storage_mode ?? '') !== '' && storage_mode !== 'per-user') {
    throw new BadRequestError(
      `storage_mode "${storage_mode}" is not known.`,
      'Only per-user is: every user has a home of their own.',
    );
  }
  const objects = { pod_security_context, container_security_context };
  const filled = Object.entries(objects).find(([, value]) => !isEmpty(value));
  const field = restricted ? 'restricted' : filled?.[0];
  if (field === undefined) return;
  throw new BadRequestError(
    `A policy can't say ${field}.`,
    'Leave it out; the security settings of terminals are those of the backend.',
  );
}
