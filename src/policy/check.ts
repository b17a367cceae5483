/**
 * Meaning: what JSON Schema can't say of a policy whose structure is right.
 * @module
 */
import { type QuantityKind, quantityKinds, quantityProblem } from '../terminal/quantity.ts';
import { checkReset, checkWindow } from './check-schedules.ts';
import { error, type Finding, warning } from './finding.ts';
import { mountTargetProblem, plainPath } from './mount-target.ts';
import { type PodTemplateProblem, podMetadataProblems, podTemplateProblems } from './pod-template.ts';
import type { PolicySpec } from './policy.ts';
import { reservedEnv } from './reserved-env.ts';
import type { PolicyDocument } from './schema.ts';

export type { Finding } from './finding.ts';

/** Bounds that come from the configuration rather than from the policies. */
export interface PolicyBounds {
  readonly maxCpuMillis: number | null;
  readonly maxMemoryBytes: number | null;
  /** Patterns with `*`; empty: every image is allowed. */
  readonly allowedImages: readonly string[];
  /** `validate`: a limit above the bound is an error. `run`: it is clamped, with a warning. */
  readonly mode: 'validate' | 'run';
}

/** What is wrong with a policy, and the policy as it will be in force (limits clamped). */
export interface CheckedSpec {
  readonly spec: PolicySpec;
  readonly findings: readonly Finding[];
}

const littleMemoryBytes = 64 * 1024 * 1024;
const imageForm =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::\d+)?\/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/;

/** Whether it is `[registry[:port]/]path[:tag][@digest]`, as the distribution specification has it. */
export function isImageReference(text: string): boolean {
  return imageForm.test(text);
}

/** Checks the meaning of a policy document. */
export function checkMeaning({ spec }: PolicyDocument, bounds: PolicyBounds): CheckedSpec {
  const limits = checkResources(spec, bounds);
  return {
    spec: limits.spec,
    findings: [
      ...checkImage(spec, bounds),
      ...limits.findings,
      ...checkSize(spec),
      ...checkDuplicates(spec),
      ...checkVariables(spec),
      ...checkMounts(spec),
      ...checkPodTemplate(spec),
      ...checkWindow(spec),
      ...checkReset(spec),
      ...checkWarm(spec),
    ],
  };
}

function checkImage({ image }: PolicySpec, { allowedImages }: PolicyBounds): Finding[] {
  if (!isImageReference(image)) {
    return [
      error(
        ['image'],
        `"${image}" is not an image reference`,
        'write registry/name:tag or registry/name@sha256:…',
      ),
    ];
  }
  if (allowedImages.length === 0 || allowedImages.some((pattern) => matches(pattern, image))) return [];
  return [
    error(
      ['image'],
      `"${image}" is not an allowed image`,
      `TERMINALS_ALLOWED_IMAGES has ${allowedImages.join(', ')}`,
    ),
  ];
}

/** A pattern in which `*` stands for any characters. In linear time whatever the pattern, as on a request's path it must be. */
export function matches(pattern: string, text: string): boolean {
  const [head = '', ...rest] = pattern.split('*');
  const tail = rest.pop();
  if (tail === undefined) return head === text;
  if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
  const end = text.length - tail.length;
  let from = head.length;
  // The earliest place of each part leaves the most room for those after it.
  for (const part of rest) {
    const at = text.indexOf(part, from);
    if (at === -1 || at + part.length > end) return false;
    from = at + part.length;
  }
  return true;
}

type Quantity = string | number;

interface Resource {
  readonly name: 'cpu' | 'memory';
  readonly kind: QuantityKind;
  readonly variable: string;
  /** What a request is that nobody wrote: it follows a lower limit. */
  readonly defaultRequest: string;
}

const cpu: Resource = {
  name: 'cpu',
  kind: quantityKinds.cpu,
  variable: 'TERMINALS_MAX_CPU',
  defaultRequest: '100m',
};
const memory: Resource = {
  name: 'memory',
  kind: quantityKinds.memory,
  variable: 'TERMINALS_MAX_MEMORY',
  defaultRequest: '256Mi',
};

function checkResources(spec: PolicySpec, bounds: PolicyBounds): CheckedSpec {
  const inCpu = checkResource(cpu, spec, bounds.maxCpuMillis, bounds.mode);
  const inMemory = checkResource(memory, spec, bounds.maxMemoryBytes, bounds.mode);
  const requests = { cpu: inCpu.request, memory: inMemory.request };
  const limits = { ...spec.resources.limits, cpu: inCpu.limit, memory: inMemory.limit };
  return {
    spec: { ...spec, resources: { requests, limits } },
    findings: [...inCpu.findings, ...inMemory.findings],
  };
}

interface CheckedResource {
  readonly request: Quantity;
  readonly limit: Quantity;
  readonly findings: readonly Finding[];
}

function checkResource(
  resource: Resource,
  { resources }: PolicySpec,
  bound: number | null,
  mode: PolicyBounds['mode'],
): CheckedResource {
  const { name, kind, variable, defaultRequest } = resource;
  const findings: Finding[] = [];
  const limit = resources.limits[name];
  const request = resources.requests[name];
  const limitPath = ['resources', 'limits', name];
  const requestPath = ['resources', 'requests', name];
  const limitValue = quantity(kind, limitPath, limit, findings);
  const requestValue = quantity(kind, requestPath, request, findings);
  if (limitValue === null || requestValue === null) return { request, limit, findings };

  if (name === 'memory' && limitValue < littleMemoryBytes) {
    findings.push(warning(limitPath, `${limit} is little memory`, 'Open Terminal itself needs about 64Mi'));
  }
  if (bound !== null && limitValue > bound) {
    const most = name === 'cpu' ? `${bound}m` : String(bound);
    const said = `${limit} is above ${variable}`;
    findings.push(
      mode === 'validate'
        ? error(limitPath, said, `write at most ${most}`)
        : warning(limitPath, said, `${most} is used instead`),
    );
    return { request: requestValue > bound ? most : request, limit: most, findings };
  }
  if (requestValue > limitValue && request !== defaultRequest) {
    findings.push(
      error(
        requestPath,
        `the request ${request} is above the limit ${limit}`,
        'lower the request, or raise the limit',
      ),
    );
  }
  return { request: requestValue > limitValue ? limit : request, limit, findings };
}

function quantity(
  kind: QuantityKind,
  path: readonly string[],
  value: Quantity,
  findings: Finding[],
): number | null {
  const problem = quantityProblem(kind, value);
  if (problem === null) return kind.parse(value);
  findings.push(error(path, problem, kind.hint));
  return null;
}

function checkSize({ persistence }: PolicySpec): Finding[] {
  const findings: Finding[] = [];
  quantity(quantityKinds.size, ['persistence', 'size'], persistence.size, findings);
  return findings;
}

function checkDuplicates(spec: PolicySpec): Finding[] {
  return (['packages', 'pipPackages'] as const).flatMap((field) => {
    const seen = new Set<string>();
    return spec[field].flatMap((name, index) => {
      const twice = seen.has(name);
      seen.add(name);
      return twice ? [warning([field, index], `"${name}" is listed twice`, 'keep one of the two')] : [];
    });
  });
}

/** The names of variables. */
function checkVariables({ env, secretEnv }: PolicySpec): Finding[] {
  const atName = (field: 'env' | 'secretEnv', name: string, message: string, hint: string): Finding => ({
    ...error([field, name], message, hint),
    atName: true,
  });
  const reserved = (field: 'env' | 'secretEnv', names: readonly string[]) =>
    names.flatMap((name) => {
      const instead = reservedEnv.get(name);
      return instead === undefined ? [] : [atName(field, name, `${name} can't be set here`, instead)];
    });
  const secret = Object.keys(secretEnv);
  return [
    ...reserved('env', Object.keys(env)),
    ...reserved('secretEnv', secret),
    ...secret
      .filter((name) => Object.hasOwn(env, name))
      .map((name) => atName('secretEnv', name, `${name} is in env, too`, 'keep one of the two')),
  ];
}

function checkPodTemplate({ podTemplate }: PolicySpec): Finding[] {
  const found = (field: string, problems: readonly PodTemplateProblem[]) =>
    problems.map(({ path, message, hint }) => error(['podTemplate', field, ...path], message, hint));
  return [
    ...found('metadata', podMetadataProblems(podTemplate?.metadata)),
    ...found('spec', podTemplateProblems(podTemplate?.spec)),
  ];
}

function checkMounts({ mounts }: PolicySpec): Finding[] {
  const plain = mounts.map(({ target }) => plainPath(target));
  return mounts.flatMap(({ target }, index) => {
    const path = ['mounts', index, 'target'];
    const wrong = mountTargetProblem(target);
    if (wrong) return [error(path, wrong, 'write a path such as /mnt/datasets')];
    const twice = plain.indexOf(plainPath(target)) < index;
    return twice ? [error(path, `"${target}" is mounted twice`, 'give each mount a target of its own')] : [];
  });
}

/** A home is one user's from the beginning, so that nothing can be started before its user is known. */
function checkWarm({ warm, persistence }: PolicySpec): Finding[] {
  if (warm === 0 || !persistence.enabled) return [];
  const hint = 'set persistence.enabled: false (files then end with the terminal), or leave warm out';
  return [
    error(['warm'], 'terminals whose home is kept can not be started before their user is known', hint),
  ];
}
