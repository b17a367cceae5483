/**
 * The CustomResourceDefinition of Terminal: a structural schema (no `$ref`, no lists of types, nothing that only a JSON
 * Schema knows), with CEL rules for what types can't say.
 * @module
 */
import { type QuantityKind, quantityKinds } from '../terminal/quantity.ts';
import { isNode, type SchemaNode, terminalSpecSchema } from './terminal-schema.ts';

const quantityPattern = '^[+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+|[numkMGTP]|[KMGTP]i)?$';

/** CEL: a quantity, which may have come as a number. */
const quantityAt = (path: string) => `quantity(string(${path}))`;

const specRules = [
  {
    rule: 'has(self.contextId) == has(oldSelf.contextId) && (!has(self.contextId) || self.contextId == oldSelf.contextId)',
    message: 'contextId can not be changed: another context is another Terminal',
  },
  {
    rule: '!self.restricted || size(self.packages) == 0',
    message: 'restricted allows no sudo, so that packages can not be installed; put them in the image',
  },
  {
    rule: '!self.restricted || !has(self.egress) || size(self.egress.allowedDomains) == 0',
    message:
      'restricted allows no NET_ADMIN, so that allowedDomains can only be empty (nothing) or absent (everything)',
  },
];

const resourceRules = ['cpu', 'memory'].map((name) => ({
  rule: `${quantityAt(`self.requests.${name}`)}.compareTo(${quantityAt(`self.limits.${name}`)}) <= 0`,
  message: `requests.${name} is more than limits.${name}`,
}));

/** What has a value: a home of no size and a limit of no memory are none, and no machine has as much as the bound. */
const bounded = (bound: string, { hint }: QuantityKind) => [
  {
    rule: `${quantityAt('self')}.isGreaterThan(quantity('0')) && ${quantityAt('self')}.isLessThan(quantity('${bound}'))`,
    message: `must be above 0 and below ${bound} (${hint})`,
  },
];
const cores = bounded('1M', quantityKinds.cpu);
/** From there on numbers are not exact. */
const bytes = (kind: QuantityKind) => bounded('8Pi', kind);

const immutable = (name: string, what: string) => [
  { rule: 'self == oldSelf', message: `${name} can not be changed: another ${what} is another Terminal` },
];

/** Rules by the way to the field. */
const rules: Readonly<Record<string, readonly SchemaNode[]>> = {
  '': specRules,
  userId: immutable('userId', 'user'),
  policyId: immutable('policyId', 'policy'),
  resources: resourceRules,
  'resources.requests.cpu': cores,
  'resources.limits.cpu': cores,
  'resources.requests.memory': bytes(quantityKinds.memory),
  'resources.limits.memory': bytes(quantityKinds.memory),
  'persistence.size': bytes(quantityKinds.size),
};

const time = (description: string) => ({ description, type: 'string', format: 'date-time' });
const string = (description: string) => ({ description, type: 'string' });

const conditionSchema = {
  description: 'One aspect of the state (kstatus: Ready, Reconciling, Stalled).',
  type: 'object',
  required: ['type', 'status', 'lastTransitionTime', 'reason', 'message'],
  properties: {
    type: { ...string('Ready, Reconciling or Stalled.'), maxLength: 316 },
    status: { ...string('Whether it is so.'), enum: ['True', 'False', 'Unknown'] },
    observedGeneration: {
      description: 'The generation it was seen for.',
      type: 'integer',
      format: 'int64',
      minimum: 0,
    },
    lastTransitionTime: time('When the status last changed.'),
    reason: { ...string('Why, in one word.'), maxLength: 1024 },
    message: { ...string('Why, for people.'), maxLength: 32768 },
  },
};

const statusSchema = {
  description: 'What the terminal is.',
  type: 'object',
  properties: {
    phase: {
      ...string('Where it is in its life.'),
      enum: ['Pending', 'Provisioning', 'Running', 'Idle', 'Error'],
    },
    podName: string('The Pod that runs it.'),
    podIP: string('The address of that Pod, once it has one.'),
    serviceName: string('The Service in front of it.'),
    serviceUrl: string('Where it answers in the cluster.'),
    apiKeySecret: string('The Secret with its key, under api-key.'),
    lastActivityAt: time('Its last use, as the orchestrator saw it. A newer one wakes an idle terminal.'),
    idleSince: time('The last use before it was stopped for not being used; absent while it is wanted.'),
    lastResetAt: time('When the reset was asked for that was carried out last.'),
    observedGeneration: {
      description: 'The generation that this describes.',
      type: 'integer',
      format: 'int64',
    },
    lastHandledReconcileAt: string(
      'The value of the annotation reconcile.terminals.openwebui.com/requestedAt that was looked at last.',
    ),
    revision: string('What the Pod was made from, as a hash.'),
    message: string('What is to be said about it, for people.'),
    conditions: {
      description: 'kstatus conditions.',
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: conditionSchema,
    },
  },
};

const column = (name: string, type: string, jsonPath: string) => ({ name, type, jsonPath });

/** The whole definition. */
export function terminalCrd(): SchemaNode {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'terminals.openwebui.com' },
    spec: {
      group: 'openwebui.com',
      names: {
        kind: 'Terminal',
        listKind: 'TerminalList',
        plural: 'terminals',
        singular: 'terminal',
        shortNames: ['term'],
      },
      scope: 'Namespaced',
      versions: [
        {
          name: 'v1alpha1',
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [
            column('User', 'string', '.spec.userId'),
            column('Policy', 'string', '.spec.policyId'),
            column('Phase', 'string', '.status.phase'),
            column('Ready', 'string', '.status.conditions[?(@.type=="Ready")].status'),
            column('Last Activity', 'date', '.status.lastActivityAt'),
            column('Age', 'date', '.metadata.creationTimestamp'),
          ],
          selectableFields: [{ jsonPath: '.spec.userId' }, { jsonPath: '.spec.policyId' }],
          schema: { openAPIV3Schema: rootSchema() },
        },
      ],
    },
  };
}

function rootSchema(): SchemaNode {
  return {
    description: "One user's terminal: the operator keeps a Pod, a Service, a Secret and a volume for it.",
    type: 'object',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: structural(terminalSpecSchema(), []),
      status: statusSchema,
    },
    'x-kubernetes-validations': [
      {
        rule: "self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        message:
          'the name must be one of a Service: at most 63 lower case letters, digits and hyphens, a letter first',
      },
    ],
  };
}

const sameInBoth = [
  'description',
  'type',
  'default',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'pattern',
  'enum',
  'required',
  'format',
];

/** A JSON Schema as a structural one. */
function structural(node: SchemaNode, path: readonly string[]): SchemaNode {
  const result: Record<string, unknown> = {};
  for (const name of sameInBoth) if (node[name] !== undefined) result[name] = node[name];
  if (isNode(node.default) && isNode(node.properties)) result.default = filledDefault(node);
  if (node.enum !== undefined) result.type ??= 'string';
  if (Array.isArray(node.type)) Object.assign(result, quantity(node));
  if (isNode(node.properties)) {
    result.properties = Object.fromEntries(
      Object.entries(node.properties).map(([name, child]) => [
        name,
        structural(asNode(child), [...path, name]),
      ]),
    );
  } else if (node.additionalProperties === true) {
    result['x-kubernetes-preserve-unknown-fields'] = true;
  } else if (isNode(node.additionalProperties)) {
    Object.assign(result, map(node, node.additionalProperties, path));
  }
  if (isNode(node.items))
    Object.assign(result, {
      items: structural(node.items, [...path, '*']),
      'x-kubernetes-list-type': 'atomic',
    });
  const more = [
    ...(rules[path.join('.')] ?? []),
    ...(node.propertyNames === undefined ? [] : [variableNames]),
  ];
  if (more.length > 0) result['x-kubernetes-validations'] = more;
  return result;
}

/** The API server checks a default by the rules as it stands, before it fills in the defaults within. */
function filledDefault(node: SchemaNode): unknown {
  if (!isNode(node.default) || !isNode(node.properties)) return node.default;
  const within = Object.entries(node.properties)
    .map(([name, child]) => [name, filledDefault(asNode(child))] as const)
    .filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(within), ...node.default };
}

/** CEL needs to know that a map is bounded. */
const mostEntries = 256;
const variableNames = {
  rule: "self.all(name, name.matches('^[A-Za-z_][A-Za-z0-9_]*$'))",
  message: 'a name of a variable has letters, digits and _, no digit first',
};

function map(node: SchemaNode, values: SchemaNode, path: readonly string[]): SchemaNode {
  const bounded = node.propertyNames === undefined ? {} : { maxProperties: mostEntries };
  return { ...bounded, additionalProperties: structural(values, [...path, '*']) };
}

/** `[string, number]` in the policy's schema is a Kubernetes quantity: an int or a string. */
function quantity(node: SchemaNode): SchemaNode {
  return {
    type: undefined,
    anyOf: [{ type: 'integer' }, { type: 'string' }],
    'x-kubernetes-int-or-string': true,
    pattern: quantityPattern,
    maxLength: 32,
    ...(node.default === undefined ? {} : { default: node.default }),
  };
}

function asNode(value: unknown): SchemaNode {
  return isNode(value) ? value : {};
}
