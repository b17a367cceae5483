/** Terminal → Pod. Pure. @module */
import type { Container, EnvVar, Pod, PodSpec } from '../kubernetes/objects.ts';
import { pathText } from '../policy/finding.ts';
import { type PodTemplateProblem, podMetadataProblems, podTemplateProblems } from '../policy/pod-template.ts';
import { canonical } from '../terminal/canonical.ts';
import {
  apiKeyField,
  childLabels,
  childNames,
  containerName,
  homeTarget,
  keyHashAnnotation,
  labels,
  revisionAnnotation,
  shortHash,
  terminalPort,
} from './child-names.ts';
import type { OperatorDefaults, PodDefaults } from './defaults.ts';
import {
  keepsPackages,
  packageCacheAnnotations,
  packageCacheMounts,
  packageCacheVolume,
} from './package-cache.ts';
import { containerSecurityContext, filtersDomains, podSecurityContext, restrict } from './pod-security.ts';
import { contextProblems, overlay } from './pod-template.ts';
import { ownerReference, type TerminalResource, type TerminalSpec } from './terminal-resource.ts';

/** The start time limits where a Terminal names none: plain, and while packages install. */
const startSeconds = { plain: 60, withPackages: 300 };

/** Why no Pod can be made of this Terminal; empty where one can. */
export function podProblems(terminal: TerminalResource, defaults: OperatorDefaults): readonly string[] {
  const metadata = ownMetadata(terminal.spec.podTemplate?.metadata, defaults.pods);
  return [
    ...templateProblems('metadata', podMetadataProblems(metadata)),
    ...podSpecProblems(terminal, defaults),
  ];
}

/** The same for a Pod that takes none of its labels and annotations. */
export function podSpecProblems({ spec }: TerminalResource, { pods }: OperatorDefaults): readonly string[] {
  const { podTemplate, podSecurityContext: podContext, containerSecurityContext: context } = spec;
  return [
    ...templateProblems('spec', podTemplateProblems(podTemplate?.spec)),
    ...contextProblems(podContext, 'podSecurityContext', pods.podSecurityContext),
    ...contextProblems(context, 'containerSecurityContext', pods.containerSecurityContext),
  ];
}

function templateProblems(field: string, problems: readonly PodTemplateProblem[]): readonly string[] {
  return problems.map(({ path, message }) => `${pathText(['podTemplate', field, ...path])}: ${message}`);
}

type PodMetadata = NonNullable<TerminalSpec['podTemplate']>['metadata'];

/** Without what the orchestrator writes there: the configured labels, and the revision. */
function ownMetadata(
  { labels: given = {}, annotations = {} }: PodMetadata = {},
  { labels: configured }: PodDefaults,
) {
  const { [revisionAnnotation]: _revision, ...own } = annotations;
  const labels = Object.fromEntries(
    Object.entries(given).filter(([name, value]) => configured[name] !== value),
  );
  return { labels, annotations: own };
}

/** The Pod of a Terminal. @param keyHash which key its Secret holds */
export function podOf(terminal: TerminalResource, defaults: OperatorDefaults, keyHash: string): Pod {
  const { spec, metadata } = terminal;
  const over = spec.podTemplate?.metadata;
  const rendered = overlay(podSpec(terminal, defaults), spec.podTemplate?.spec ?? {}) as PodSpec;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: childNames(terminal).pod,
      ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
      labels: {
        ...defaults.pods.labels,
        ...over?.labels,
        ...childLabels(terminal),
        [labels.revision]: revisionOf(spec),
      },
      annotations: { ...over?.annotations, ...packageCacheAnnotations(spec), [keyHashAnnotation]: keyHash },
      ownerReferences: [ownerReference(terminal)],
    },
    spec: spec.restricted ? restrict(rendered) : rendered,
  };
}

/**
 * Hash of what can change only with another Pod. It is taken from the Terminal rather than from the rendered Pod, so that a
 * new version of the operator, or another default of it, replaces nobody's running terminal.
 */
export function revisionOf(spec: TerminalSpec): string {
  const { image, packages, pipPackages, env, secretEnv, egress, podTemplate, restricted, persistence } = spec;
  const { podSecurityContext: podContext, containerSecurityContext: containerContext } = spec;
  return shortHash(
    canonical({
      ...{ image, packages, pipPackages, env, secretEnv, egress, podTemplate, restricted },
      ...{ podContext, containerContext, persistent: persistence.enabled },
    }),
  );
}

function podSpec(terminal: TerminalResource, defaults: OperatorDefaults): PodSpec {
  const { spec } = terminal;
  const home = { name: 'home', persistentVolumeClaim: { claimName: childNames(terminal).volumeClaim } };
  return {
    containers: [containerOf(terminal, defaults)],
    // Its owner may be a user with root rights: no account at the API server, no list of the namespace's Services.
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 10,
    securityContext: podSecurityContext(spec, defaults.pods),
    ...placement(terminal, defaults),
    ...(spec.persistence.enabled
      ? { volumes: [home, ...(keepsPackages(spec) ? [packageCacheVolume] : [])] }
      : {}),
    ...(defaults.imagePullSecrets.length > 0
      ? { imagePullSecrets: defaults.imagePullSecrets.map((name) => ({ name })) }
      : {}),
  };
}

/** Whole or not at all: a part of one selector and a part of another may be what no node has. */
function placement({ spec }: TerminalResource, { pods }: OperatorDefaults): Partial<PodSpec> {
  const { nodeSelector, tolerations } = pods;
  const own = spec.podTemplate?.spec ?? {};
  return {
    ...('nodeSelector' in own || Object.keys(nodeSelector).length === 0 ? {} : { nodeSelector }),
    ...('tolerations' in own || tolerations.length === 0 ? {} : { tolerations }),
  };
}

function containerOf(terminal: TerminalResource, defaults: OperatorDefaults): Container {
  const { spec } = terminal;
  const failureThreshold = startLimitSeconds(spec);
  const probe = { httpGet: { path: '/health', port: 'http' } };
  return {
    name: containerName,
    image: spec.image,
    imagePullPolicy: defaults.imagePullPolicy,
    ports: [{ name: 'http', containerPort: terminalPort, protocol: 'TCP' }],
    env: environment(terminal),
    resources: resourcesOf(spec),
    securityContext: containerSecurityContext(spec, defaults.pods),
    // The end of the startup probe sets off the readiness probe at once, so that a start is seen within a second.
    startupProbe: { ...probe, periodSeconds: 1, timeoutSeconds: 2, failureThreshold },
    readinessProbe: { ...probe, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 3 },
    livenessProbe: { ...probe, periodSeconds: 20, timeoutSeconds: 10, failureThreshold: 6 },
    // What it said last is then in the Pod's status, and from there in the Terminal's.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    ...(spec.persistence.enabled
      ? {
          volumeMounts: [
            { name: 'home', mountPath: homeTarget },
            ...(keepsPackages(spec) ? packageCacheMounts : []),
          ],
        }
      : {}),
  };
}

/** How long the container may take until it answers. */
export function startLimitSeconds({ startTimeoutSeconds, packages, pipPackages }: TerminalSpec): number {
  const installs = packages.length + pipPackages.length > 0;
  return startTimeoutSeconds ?? startSeconds[installs ? 'withPackages' : 'plain'];
}

/** CPU and memory of the terminal's container; what can be changed while it runs. */
export function resourcesOf({ resources: { requests, limits } }: TerminalSpec): {
  readonly requests: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
} {
  return {
    requests: { cpu: String(requests.cpu), memory: String(requests.memory) },
    limits: { cpu: String(limits.cpu), memory: String(limits.memory) },
  };
}

function environment(terminal: TerminalResource): readonly EnvVar[] {
  const { spec } = terminal;
  const plain: Record<string, string> = { ...spec.env };
  if (spec.packages.length > 0) plain.OPEN_TERMINAL_PACKAGES = spec.packages.join(' ');
  if (spec.pipPackages.length > 0) plain.OPEN_TERMINAL_PIP_PACKAGES = spec.pipPackages.join(' ');
  // Set but empty blocks everything: it must be unset unless the policy restricts egress.
  if (filtersDomains(spec)) plain.OPEN_TERMINAL_ALLOWED_DOMAINS = spec.egress?.allowedDomains.join(',') ?? '';
  const fromSecrets = Object.fromEntries(
    Object.entries(spec.secretEnv).map(([name, secret]) => [
      name,
      { name, valueFrom: { secretKeyRef: secret } },
    ]),
  );
  const variables: Record<string, EnvVar> = {
    ...Object.fromEntries(
      Object.entries(plain).map(([name, value]) => [name, { name, value: escaped(value) }]),
    ),
    ...fromSecrets,
    OPEN_TERMINAL_API_KEY: {
      name: 'OPEN_TERMINAL_API_KEY',
      valueFrom: { secretKeyRef: { name: childNames(terminal).secret, key: apiKeyField } },
    },
  };
  return Object.values(variables);
}

/** Kubernetes replaces `$(NAME)` in values; here a value is meant as it stands. */
function escaped(value: string): string {
  return value.replaceAll('$(', '$$$$(');
}
