/**
 * Laying `podTemplate` over a Pod, and what it may not ask for.
 * @module
 */

import { isMap } from '../json.ts';
import { containerName } from './child-names.ts';

type Map = Readonly<Record<string, unknown>>;

/** By which field entries of a list belong together, as in a strategic merge; lists not named here are replaced. */
const mergeKeys: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  volumes: 'name',
  env: 'name',
  volumeMounts: 'mountPath',
  imagePullSecrets: 'name',
  hostAliases: 'ip',
};

/** Maps are merged, lists of named things by name, null removes a field, everything else is replaced. */
export function overlay(base: unknown, over: unknown, field = ''): unknown {
  if (isMap(base) && isMap(over)) {
    const result: Record<string, unknown> = { ...base };
    for (const [name, value] of Object.entries(over)) {
      if (value === null) delete result[name];
      else result[name] = name in base ? overlay(base[name], value, name) : value;
    }
    return result;
  }
  const key = mergeKeys[field];
  if (key !== undefined && Array.isArray(base) && Array.isArray(over)) return overlayList(base, over, key);
  return over;
}

function overlayList(base: readonly unknown[], over: readonly unknown[], key: string): readonly unknown[] {
  const nameOf = (item: unknown) => (isMap(item) ? item[key] : undefined);
  const merged = base.map((item) => {
    const match = over.find((other) => nameOf(other) === nameOf(item));
    return match === undefined ? item : overlay(item, match);
  });
  const added = over.filter((item) => !base.some((other) => nameOf(other) === nameOf(item)));
  return [...merged, ...added];
}

/** Fields of a PodSpec that would give a terminal more than its policy may give, or take it out of the operator's hands. */
const forbiddenFields: Readonly<Record<string, string>> = {
  hostNetwork: 'the network of the node',
  hostPID: 'the processes of the node',
  hostIPC: 'the IPC of the node',
  serviceAccountName: 'an account at the API server',
  serviceAccount: 'an account at the API server',
  automountServiceAccountToken: 'an account at the API server',
  nodeName: 'a node past the scheduler',
  restartPolicy: 'another restart policy',
  ephemeralContainers: 'ephemeral containers',
};

/** The fields of the terminal's container that other fields of the Terminal say. */
const ownContainerFields = ['image', 'ports', 'command'];

/** What is wrong with a podTemplate's spec, in sentences. */
export function podTemplateProblems(spec: Map | undefined): readonly string[] {
  if (spec === undefined) return [];
  const problems = Object.keys(spec)
    .filter((name) => forbiddenFields[name] !== undefined)
    .map((name) => `podTemplate.spec.${name}: a terminal may not have ${forbiddenFields[name]}`);
  for (const volume of entries(spec.volumes)) {
    if ('hostPath' in volume)
      problems.push(`podTemplate.spec.volumes: ${volume.name} is a path of the node (hostPath)`);
  }
  for (const list of ['containers', 'initContainers']) {
    for (const container of entries(spec[list])) problems.push(...containerProblems(list, container));
  }
  return problems;
}

function containerProblems(list: string, container: Map): readonly string[] {
  const at = `podTemplate.spec.${list}: ${container.name}`;
  const problems: string[] = [];
  const context = isMap(container.securityContext) ? container.securityContext : {};
  if (context.privileged === true) problems.push(`${at} is privileged`);
  if (context.procMount !== undefined) problems.push(`${at} has a procMount of its own`);
  if (entries(container.ports).some((port) => port.hostPort !== undefined))
    problems.push(`${at} has a port of the node`);
  if (container.name === containerName && list === 'containers') {
    const known = ownContainerFields.filter((field) => field in container);
    if (known.length > 0) problems.push(`${at} has ${known.join(', ')}: that is not podTemplate's to say`);
  }
  return problems;
}

/** What is wrong with a security context that a Terminal lays over the default, in sentences. */
export function contextProblems(context: Map | undefined, field: string): readonly string[] {
  if (context?.privileged === true) return [`${field}: a terminal may not be privileged`];
  return [];
}

function entries(list: unknown): readonly Map[] {
  return Array.isArray(list) ? list.filter(isMap) : [];
}
