/**
 * The security contexts of a terminal's Pod: as tight as the Open Terminal image allows, or Pod Security "restricted".
 * @module
 */
import type { Container, PodSecurityContext, PodSpec, SecurityContext } from '../kubernetes/objects.ts';
import type { PodDefaults } from './defaults.ts';
import type { TerminalSpec } from './terminal-resource.ts';

/** The user of the Open Terminal image. */
const imageUser = 1000;

/** Of the Pod: the operator's configuration laid over it, and over that the Terminal's own. */
export function podSecurityContext(spec: TerminalSpec, defaults: PodDefaults): PodSecurityContext {
  return {
    runAsNonRoot: true,
    runAsUser: imageUser,
    runAsGroup: imageUser,
    fsGroup: imageUser,
    fsGroupChangePolicy: 'OnRootMismatch',
    seccompProfile: { type: 'RuntimeDefault' },
    ...defaults.podSecurityContext,
    ...spec.podSecurityContext,
  };
}

/**
 * Of the terminal's container. Users have sudo there, so that escalation can't be forbidden and the runtime's default
 * capabilities stay; without raw sockets and device files. Filtering domains needs NET_ADMIN and raw sockets once, which
 * the image drops before it serves.
 */
export function containerSecurityContext(spec: TerminalSpec, defaults: PodDefaults): SecurityContext {
  const filters = filtersDomains(spec);
  return {
    privileged: false,
    allowPrivilegeEscalation: true,
    capabilities: filters ? { add: ['NET_ADMIN'], drop: ['MKNOD'] } : { drop: ['MKNOD', 'NET_RAW'] },
    ...defaults.containerSecurityContext,
    ...spec.containerSecurityContext,
  };
}

/** Whether the image itself has to restrict where the terminal can connect to. Restricted, the NetworkPolicy does alone. */
export function filtersDomains(spec: TerminalSpec): boolean {
  return spec.egress !== undefined && !spec.restricted;
}

/** The same Pod within Pod Security "restricted", whatever was laid over it. */
export function restrict(pod: PodSpec): PodSpec {
  const { appArmorProfile, seccompProfile, runAsUser, ...context } = pod.securityContext ?? {};
  return {
    ...pod,
    securityContext: {
      ...context,
      ...confined(appArmorProfile),
      runAsNonRoot: true,
      runAsUser: runAsUser || imageUser,
      seccompProfile: allowedProfile(seccompProfile),
    },
    containers: pod.containers.map(restrictContainer),
    ...(pod.initContainers === undefined
      ? {}
      : { initContainers: pod.initContainers.map(restrictContainer) }),
  };
}

function restrictContainer(container: Container): Container {
  const {
    capabilities: _capabilities,
    procMount: _procMount,
    appArmorProfile,
    seccompProfile,
    runAsUser,
    ...context
  } = container.securityContext ?? {};
  return {
    ...container,
    securityContext: {
      ...context,
      ...confined(appArmorProfile),
      ...(runAsUser ? { runAsUser } : {}),
      ...(seccompProfile === undefined ? {} : { seccompProfile: allowedProfile(seccompProfile) }),
      privileged: false,
      runAsNonRoot: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    },
  };
}

type SeccompProfile = NonNullable<PodSecurityContext['seccompProfile']>;

function allowedProfile(profile: SeccompProfile | undefined): SeccompProfile {
  return profile?.type === 'Localhost' ? profile : { type: 'RuntimeDefault' };
}

/** Without a profile of its own a container has the runtime's. */
function confined(appArmorProfile: PodSecurityContext['appArmorProfile']): PodSecurityContext {
  return appArmorProfile === undefined || appArmorProfile.type === 'Unconfined' ? {} : { appArmorProfile };
}
