/**
 * What a podTemplate may not ask for. A policy is checked by it where it is read, and the operator checks every Terminal,
 * whoever wrote it.
 * @module
 */
import { isMap } from '../json.ts';
import { quantityKinds, quantityProblem } from '../terminal/quantity.ts';
import { reservedEnv } from './reserved-env.ts';

type Map = Readonly<Record<string, unknown>>;
type Path = readonly (string | number)[];

/** One thing that is wrong with a podTemplate. */
export interface PodTemplateProblem {
  /** Below its spec or its metadata. */
  readonly path: Path;
  readonly message: string;
  readonly hint: string;
}

/** The container of the terminal in its Pod. */
export const containerName = 'terminal';

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

/** The fields of the terminal's container that other fields say. */
const ownContainerFields: Readonly<Record<string, string>> = {
  image: 'use image, beside podTemplate',
  ports: 'leave it out: Open Terminal has its port',
  command: 'leave it out: the image says what it runs',
};

/** Capabilities that Pod Security "baseline" lets a container add; all others reach beyond it. */
const harmlessCapabilities: ReadonlySet<unknown> = new Set([
  ...['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE'],
  ...['SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'],
]);

/** What the Pods of Terminals are known by. */
const ownDomain = 'openwebui.com';
/** As annotations these say what the field appArmorProfile does, to a kubelet that knows no such field. */
const appArmorDomain = 'container.apparmor.security.beta.kubernetes.io';

/** What entries are laid over by their names in. */
const namedLists = ['containers', 'initContainers', 'volumes'];

const leaveOut = 'leave it out';

/** What is wrong with a podTemplate's spec, each at its place. */
export function podTemplateProblems(spec: Map | undefined): readonly PodTemplateProblem[] {
  if (spec === undefined) return [];
  return [
    ...Object.keys(spec).flatMap((name) => fieldProblems(name)),
    ...namedLists
      .filter((name) => Object.hasOwn(spec, name))
      .flatMap((name) => listProblems(spec[name], name)),
    ...securityContextProblems(spec.securityContext, ['securityContext']),
    ...entries(spec, 'volumes').flatMap(volumeProblems),
    ...['containers', 'initContainers'].flatMap((list) => entries(spec, list)).flatMap(containerProblems),
  ];
}

/** What is wrong with a podTemplate's metadata, each at its place. */
export function podMetadataProblems(metadata: Map | undefined): readonly PodTemplateProblem[] {
  const { labels, annotations } = metadata ?? {};
  return [...nameProblems(labels, 'labels'), ...nameProblems(annotations, 'annotations')];
}

function nameProblems(map: unknown, field: string): readonly PodTemplateProblem[] {
  if (!isMap(map)) return [];
  return Object.entries(map).flatMap(([name, value]) => {
    const [domain = '', rest] = name.split('/');
    if (rest === undefined) return [];
    if (domain === ownDomain || domain.endsWith(`.${ownDomain}`))
      return [problem([field, name], `${domain}/ is for Terminals alone`)];
    if (domain === appArmorDomain && value !== 'runtime/default')
      return [problem([field, name], `${rest} has another AppArmor profile than runtime/default`)];
    return [];
  });
}

function fieldProblems(name: string): readonly PodTemplateProblem[] {
  if (!Object.hasOwn(forbiddenFields, name)) return [];
  return [problem([name], `a terminal may not have ${forbiddenFields[name]}`)];
}

function listProblems(list: unknown, name: string): readonly PodTemplateProblem[] {
  const hint = 'write a list of maps, each with a name';
  if (!Array.isArray(list)) return [problem([name], `${name} is no list`, hint)];
  return list.flatMap((entry: unknown, index) =>
    isMap(entry) ? [] : [problem([name, index], 'it is no map', hint)],
  );
}

function volumeProblems({ value, path }: Entry): readonly PodTemplateProblem[] {
  const projected = isMap(value.projected) ? value.projected : {};
  const tokens = entries(projected, 'sources', [...path, 'projected']).filter(
    (source) => 'serviceAccountToken' in source.value,
  );
  return [
    ...('hostPath' in value
      ? [problem([...path, 'hostPath'], `${value.name} is a path of the node (hostPath)`)]
      : []),
    ...tokens.map((source) =>
      problem(
        [...source.path, 'serviceAccountToken'],
        `a terminal may not have ${forbiddenFields.serviceAccountName}`,
      ),
    ),
  ];
}

function containerProblems({ value, path }: Entry): readonly PodTemplateProblem[] {
  const { name } = value;
  return [
    ...securityContextProblems(value.securityContext, [...path, 'securityContext'], `${name} `),
    ...entries(value, 'ports', path)
      .filter((port) => port.value.hostPort !== undefined)
      .map((port) => problem([...port.path, 'hostPort'], `${name} has a port of the node`)),
    ...(isTerminals({ value, path }) ? ownProblems(value, path) : []),
  ];
}

/** Whether it is the terminal's own container, in the list of containers. */
export function isTerminals({ value, path }: Entry): boolean {
  return value.name === containerName && path[0] === 'containers';
}

/** What is not podTemplate's to say of the terminal's container. */
function ownProblems(container: Map, path: Path): readonly PodTemplateProblem[] {
  const fields = Object.entries(ownContainerFields).filter(([field]) => field in container);
  const reserved = entries(container, 'env', path).flatMap((variable) => {
    const hint = reservedEnv.get(String(variable.value.name));
    return hint === undefined ? [] : [{ ...variable, hint }];
  });
  return [
    ...fields.map(([field, hint]) =>
      problem([...path, field], `${containerName} has ${field}: that is not podTemplate's to say`, hint),
    ),
    ...reserved.map(({ value, path: at, hint }) =>
      problem([...at, 'name'], `${value.name} can't be set here`, hint),
    ),
    ...resourceProblems(container.resources, [...path, 'resources']),
  ];
}

/** CPU and memory of the terminal's container are compared with what the Pod has. */
function resourceProblems(resources: unknown, path: Path): readonly PodTemplateProblem[] {
  if (!isMap(resources)) return [];
  return ['requests', 'limits'].flatMap((part) =>
    (['cpu', 'memory'] as const).flatMap((name) => {
      const quantities = resources[part];
      const quantity = isMap(quantities) ? quantities[name] : undefined;
      if (quantity === undefined || quantity === null) return [];
      const kind = quantityKinds[name];
      const wrong = quantityProblem(kind, typeof quantity === 'number' ? quantity : String(quantity));
      return wrong === null ? [] : [problem([...path, part, name], wrong, kind.hint)];
    }),
  );
}

/** What no security context of a terminal may have, be it a Pod's or a container's. @param whose its owner, and a space */
export function securityContextProblems(
  context: unknown,
  path: Path,
  whose = '',
): readonly PodTemplateProblem[] {
  if (!isMap(context)) return [];
  const { privileged, procMount, capabilities } = context;
  const problems: PodTemplateProblem[] = [];
  const found = (field: Path, message: string) => problems.push(problem([...path, ...field], message));
  if (privileged === true) found(['privileged'], `${whose || 'a terminal '}is privileged`);
  if (procMount !== undefined) found(['procMount'], `${whose}has a procMount of its own`);
  for (const field of ['seccompProfile', 'appArmorProfile']) {
    const profile = context[field];
    if (isMap(profile) && profile.type === 'Unconfined') found([field, 'type'], `${whose}is unconfined`);
  }
  const added = isMap(capabilities) && Array.isArray(capabilities.add) ? capabilities.add : [];
  for (const [index, capability] of added.entries()) {
    if (!harmlessCapabilities.has(capability))
      found(['capabilities', 'add', index], `${whose}adds the capability ${capability}`);
  }
  return problems;
}

function problem(path: Path, message: string, hint = leaveOut): PodTemplateProblem {
  return { path, message, hint };
}

/** A map in a list, and where it stands below `podTemplate.spec`. */
export interface Entry {
  readonly value: Map;
  readonly path: Path;
}

/** The maps in a list of that name. */
export function entries(of: Map, name: string, path: Path = []): readonly Entry[] {
  const list = of[name];
  if (!Array.isArray(list)) return [];
  return list.flatMap((value: unknown, index) =>
    isMap(value) ? [{ value, path: [...path, name, index] }] : [],
  );
}
