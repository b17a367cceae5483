/**
 * Meaning: what JSON Schema can't say of a policy whose structure is right.
 * @module
 */
import { quantityKinds } from '../terminal/quantity.ts';
import { checkPodTemplate } from './check-pod-template.ts';
import { checkResources, quantity } from './check-resources.ts';
import { checkReset, checkWindow } from './check-schedules.ts';
import { error, type Finding, warning } from './finding.ts';
import { checkImage } from './image.ts';
import { mountTargetProblem, plainPath } from './mount-target.ts';
import type { PolicySpec } from './policy.ts';
import { reservedEnv } from './reserved-env.ts';
import type { PolicyDocument } from './schema.ts';

export type { Finding } from './finding.ts';
export { isImageReference, matches } from './image.ts';

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

/** Checks the meaning of a policy document. */
export function checkMeaning({ spec }: PolicyDocument, bounds: PolicyBounds): CheckedSpec {
  const limits = checkResources(spec, bounds);
  return {
    spec: limits.spec,
    findings: [
      ...checkImage(['image'], spec.image, bounds),
      ...limits.findings,
      ...checkSize(spec),
      ...checkDuplicates(spec),
      ...checkVariables(spec),
      ...checkMounts(spec),
      ...checkPodTemplate(spec, bounds),
      ...checkWindow(spec),
      ...checkReset(spec),
      ...checkWarm(spec),
    ],
  };
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
