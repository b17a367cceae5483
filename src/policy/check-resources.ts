/** Meaning of the quantities in a policy. @module */
import {
  cpuQuantity,
  memoryQuantity,
  type QuantityKind,
  quantityKinds,
  quantityProblem,
} from '../terminal/quantity.ts';
import type { CheckedSpec, PolicyBounds } from './check.ts';
import { error, type Finding, warning } from './finding.ts';
import type { PolicySpec } from './policy.ts';

const littleMemoryBytes = 64 * 1024 * 1024;

export type Quantity = string | number;

/** What a terminal has limits of, and what an administrator can bound. */
export interface Resource {
  readonly name: 'cpu' | 'memory';
  readonly kind: QuantityKind;
  /** null: there is none. */
  readonly bound: (bounds: PolicyBounds) => number | null;
  /** A bound as people write it. */
  readonly show: (bound: number) => string;
  readonly variable: string;
  /** What a request is that nobody wrote: it follows a lower limit. */
  readonly defaultRequest: string;
}

export const cpu: Resource = {
  name: 'cpu',
  kind: quantityKinds.cpu,
  bound: ({ maxCpuMillis }) => maxCpuMillis,
  show: cpuQuantity,
  variable: 'TERMINALS_MAX_CPU',
  defaultRequest: '100m',
};
export const memory: Resource = {
  name: 'memory',
  kind: quantityKinds.memory,
  bound: ({ maxMemoryBytes }) => maxMemoryBytes,
  show: memoryQuantity,
  variable: 'TERMINALS_MAX_MEMORY',
  defaultRequest: '256Mi',
};

/** What a policy's terminals may use. */
export function checkResources(spec: PolicySpec, bounds: PolicyBounds): CheckedSpec {
  const inCpu = checkResource(cpu, spec, bounds);
  const inMemory = checkResource(memory, spec, bounds);
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

function checkResource(resource: Resource, { resources }: PolicySpec, bounds: PolicyBounds): CheckedResource {
  const { name, kind, variable, defaultRequest } = resource;
  const bound = resource.bound(bounds);
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
    const most = resource.show(bound);
    const said = `${limit} is above ${variable}`;
    findings.push(
      bounds.mode === 'validate'
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

/** The value of a quantity; null: it is none, which is found at its path. */
export function quantity(
  kind: QuantityKind,
  path: readonly (string | number)[],
  value: Quantity,
  findings: Finding[],
): number | null {
  const problem = quantityProblem(kind, value);
  if (problem === null) return kind.parse(value);
  findings.push(error(path, problem, kind.hint));
  return null;
}
