/**
 * What a Terminal's spec may hold: the fields of a policy that a cluster can carry out, from the policy's own schema, and
 * the few that only a Terminal has. From here come the CRD and the TypeScript type.
 * @module
 */
import { policySchema } from '../policy/policy-schema.ts';

export type SchemaNode = Readonly<Record<string, unknown>>;

export function isNode(value: unknown): value is SchemaNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const free = { type: 'object', additionalProperties: true };

/** Which terminal it is. None of it changes: another user, policy or context is another Terminal. */
const identity: SchemaNode = {
  userId: {
    description: 'The user whose terminal it is, exactly as Open WebUI names them.',
    type: 'string',
    minLength: 1,
    maxLength: 512,
  },
  policyId: {
    description: 'The policy that it was made from.',
    type: 'string',
    minLength: 1,
    maxLength: 63,
    pattern: '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$',
    default: 'default',
  },
  contextId: {
    description:
      'The chat or automation that it belongs to, chat:<id> or automation:<id>; absent: the default context.',
    type: 'string',
    minLength: 1,
    maxLength: 512,
  },
};

/** Used where the policy's schema has no field of that name. */
const clusterOnly: SchemaNode = {
  podSecurityContext: { ...free, description: 'Laid over the security context of the Pod.' },
  containerSecurityContext: {
    ...free,
    description: "Laid over the security context of the terminal's container.",
  },
  restricted: {
    description:
      'Keep to Pod Security "restricted": no sudo in the terminal, so no Debian packages and no list of allowed domains.',
    type: 'boolean',
    default: false,
  },
};

const retain = {
  description:
    'Keep the home when the Terminal is deleted; a Terminal of the same name and user finds it again.',
  type: 'boolean',
  default: false,
};

const names = [
  'image',
  'resources',
  'idleTimeoutMinutes',
  'packages',
  'pipPackages',
  'persistence',
  'env',
  'secretEnv',
  'egress',
  'startTimeoutSeconds',
  'podTemplate',
  'podSecurityContext',
  'containerSecurityContext',
  'restricted',
  'suspend',
];

/** JSON Schema of a Terminal's spec. */
export function terminalSpecSchema(): SchemaNode {
  const policy = policySchema.$defs.spec.properties;
  const declared = isNode(policy) ? policy : {};
  const fields = Object.fromEntries(names.map((name) => [name, declared[name] ?? clusterOnly[name]]));
  return {
    description: 'What the terminal should be.',
    type: 'object',
    additionalProperties: false,
    required: ['userId'],
    properties: {
      ...identity,
      ...fields,
      resources: withoutPids(fields.resources),
      startTimeoutSeconds: {
        ...asNode(fields.startTimeoutSeconds),
        description:
          'How long a start may take until the terminal answers; absent: 60, or 300 where packages are installed.',
      },
      persistence: withProperty(fields.persistence, 'retain', retain),
    },
  };
}

/** The number of processes is the kubelet's to limit (podPidsLimit), no field of a Pod. */
function withoutPids(resources: unknown): unknown {
  const { limits, ...rest } = properties(resources);
  const { pids: _pids, ...kept } = properties(limits);
  return { ...asNode(resources), properties: { ...rest, limits: { ...asNode(limits), properties: kept } } };
}

function withProperty(object: unknown, name: string, property: SchemaNode): SchemaNode {
  return { ...asNode(object), properties: { ...properties(object), [name]: property } };
}

function properties(object: unknown): SchemaNode {
  return asNode(asNode(object).properties);
}

function asNode(value: unknown): SchemaNode {
  return isNode(value) ? value : {};
}
