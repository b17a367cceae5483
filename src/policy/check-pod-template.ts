/** Meaning of a podTemplate: what gives it power over the node, and what goes around the bounds of policies. @module */
import { isMap } from '../json.ts';
import type { PolicyBounds } from './check.ts';
import { cpu, memory, type Quantity, quantity, type Resource } from './check-resources.ts';
import { error, type Finding } from './finding.ts';
import { checkImage } from './image.ts';
import {
  containerName,
  type Entry,
  entries,
  isTerminals,
  type PodTemplateProblem,
  podMetadataProblems,
  podTemplateProblems,
} from './pod-template.ts';
import type { PolicySpec } from './policy.ts';

type Path = readonly (string | number)[];

const root = ['podTemplate', 'spec'];

/** What a podTemplate may not ask for. */
export function checkPodTemplate({ podTemplate }: PolicySpec, bounds: PolicyBounds): readonly Finding[] {
  const found = (field: string, problems: readonly PodTemplateProblem[]) =>
    problems.map(({ path, message, hint }) => error(['podTemplate', field, ...path], message, hint));
  return [
    ...found('metadata', podMetadataProblems(podTemplate?.metadata)),
    ...found('spec', podTemplateProblems(podTemplate?.spec)),
    ...checkPodSpec(podTemplate?.spec ?? {}, bounds),
  ];
}

function checkPodSpec(spec: Entry['value'], bounds: PolicyBounds): readonly Finding[] {
  const bounded = [cpu, memory].filter((resource) => resource.bound(bounds) !== null);
  const containers = ['containers', 'initContainers'].flatMap((list) => entries(spec, list));
  return [
    ...entries(spec, 'volumes').flatMap((volume) => checkVolume(volume, bounds)),
    ...(bounded.length === 0 ? [] : checkPodResources(spec.resources, bounded)),
    ...containers.flatMap((container) => checkContainer(container, bounds)),
  ];
}

function checkVolume({ value: { image }, path }: Entry, bounds: PolicyBounds): readonly Finding[] {
  if (!isMap(image) || typeof image.reference !== 'string') return [];
  return checkImage([...root, ...path, 'image', 'reference'], image.reference, bounds);
}

function checkContainer(container: Entry, bounds: PolicyBounds): readonly Finding[] {
  const { value, path } = container;
  const { image, resources } = value;
  if (isTerminals(container)) {
    const at = [...root, ...path, 'resources'];
    return 'resources' in value ? checkOwnResources(resources, containerName, at, [cpu, memory]) : [];
  }
  return [
    ...(typeof image === 'string' ? checkImage([...root, ...path, 'image'], image, bounds) : []),
    ...[cpu, memory].flatMap((resource) => checkLimit(container, resource, bounds)),
  ];
}

/** What is requested for the whole Pod is set aside, whatever its containers may use. */
function checkPodResources(resources: unknown, bounded: readonly Resource[]): readonly Finding[] {
  return checkOwnResources(resources ?? {}, 'the Pod', [...root, 'resources'], bounded);
}

/** What is said of resources that the policy's own `resources` say. @param whose in words */
function checkOwnResources(
  resources: unknown,
  whose: string,
  path: Path,
  of: readonly Resource[],
): readonly Finding[] {
  const said = (...fields: readonly string[]) => {
    const message = `${whose} has ${['resources', ...fields].join('.')}: that is not podTemplate's to say`;
    return error([...path, ...fields], message, 'use resources, beside podTemplate');
  };
  // A null takes away what is there.
  if (!isMap(resources)) return [said()];
  return ['limits', 'requests'].flatMap((kind) => {
    const amounts = resources[kind];
    if (amounts === undefined) return [];
    if (!isMap(amounts)) return [said(kind)];
    return of.filter(({ name }) => name in amounts).map(({ name }) => said(kind, name));
  });
}

/** Where there is a bound, what runs beside the terminal has a limit within it. */
function checkLimit({ value, path }: Entry, resource: Resource, bounds: PolicyBounds): readonly Finding[] {
  const { name, kind, variable, show } = resource;
  const bound = resource.bound(bounds);
  if (bound === null) return [];
  const at = [...root, ...path, 'resources', 'limits', name];
  const limit = limitOf(value, name);
  const most = `write at most ${show(bound)}`;
  if (limit === null) return [error(at, `${value.name} has no ${name} limit, and ${variable} is set`, most)];
  const findings: Finding[] = [];
  const amount = quantity(kind, at, limit, findings);
  if (amount !== null && amount > bound) findings.push(error(at, `${limit} is above ${variable}`, most));
  return findings;
}

function limitOf({ resources }: Entry['value'], name: Resource['name']): Quantity | null {
  const limits = isMap(resources) && isMap(resources.limits) ? resources.limits : {};
  const limit = limits[name];
  return typeof limit === 'string' || typeof limit === 'number' ? limit : null;
}
