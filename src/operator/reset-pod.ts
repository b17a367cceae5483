/** Terminal → the Pod that empties its home. Pure. @module */
import { wipeScript } from '../backend/wipe-script.ts';
import type { Container, Pod, PodSpec } from '../kubernetes/objects.ts';
import { childLabels, containerName, homeTarget, labels } from './child-names.ts';
import type { OperatorDefaults } from './defaults.ts';
import { podOf } from './pod.ts';
import { resetAnnotation } from './reset-request.ts';
import type { TerminalResource } from './terminal-resource.ts';

/** Its label `name`, in which a terminal's own Pod has another one, whatever podTemplate says. */
const podName = 'open-terminal-reset';
/** A home may hold millions of files. */
const wipeSeconds = 600;

/** What of the terminal's Pod decides where its volume can be mounted, and whether its image can be pulled. */
const sameAsTerminal = [
  'affinity',
  'imagePullSecrets',
  'nodeSelector',
  'priorityClassName',
  'runtimeClassName',
  'schedulerName',
  'tolerations',
] as const satisfies readonly (keyof PodSpec)[];

/**
 * It has the name of the terminal's own Pod, so that the API server lets only one of the two exist, and the terminal's image,
 * which is on the node and has a shell. The labels are others: neither Service nor NetworkPolicy finds it.
 * @param request.at the reset that it carries out
 */
export function resetPodOf(
  terminal: TerminalResource,
  defaults: OperatorDefaults,
  request: { readonly at: string; readonly keep: readonly string[] },
): Pod {
  const { metadata, spec, ...head } = podOf(terminal, defaults, '');
  const own = spec?.containers.find(({ name }) => name === containerName);
  const home = own?.volumeMounts?.find(({ mountPath }) => mountPath === homeTarget);
  const asRoot = own?.securityContext?.allowPrivilegeEscalation !== false;
  return {
    ...head,
    metadata: {
      ...metadata,
      labels: { ...childLabels(terminal), [labels.name]: podName },
      annotations: { [resetAnnotation]: request.at },
    },
    spec: {
      ...Object.fromEntries(Object.entries(spec ?? {}).filter(([name]) => isSame(name))),
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: 'Never',
      activeDeadlineSeconds: wipeSeconds,
      // A shell that is process 1 does not hear of its end.
      terminationGracePeriodSeconds: 1,
      securityContext: { ...spec?.securityContext, ...(asRoot ? root : {}) },
      containers: [
        {
          name: 'reset',
          image: own?.image ?? '',
          ...(own?.imagePullPolicy === undefined ? {} : { imagePullPolicy: own.imagePullPolicy }),
          command: ['/bin/sh', '-c', scriptOf(request.keep)],
          env: [
            { name: 'PATH', value: '/usr/bin:/bin:/usr/sbin:/sbin' },
            { name: 'LC_ALL', value: 'C' },
          ],
          workingDir: '/',
          ...(own?.resources === undefined ? {} : { resources: own.resources }),
          securityContext: contextOf(own, asRoot),
          terminationMessagePolicy: 'FallbackToLogsOnError',
          ...(home === undefined ? {} : { volumeMounts: [home] }),
        },
      ],
      ...(home === undefined
        ? {}
        : { volumes: spec?.volumes?.filter(({ name }) => name === home.name) ?? [] }),
    },
  };
}

/** Which reset a Pod carries out; undefined: it is a terminal's own. */
export function resetOf({ metadata }: Pod): string | undefined {
  return metadata.labels?.[labels.name] === podName ? metadata.annotations?.[resetAnnotation] : undefined;
}

function isSame(name: string): boolean {
  return sameAsTerminal.some((field) => field === name);
}

const root = { runAsNonRoot: false, runAsUser: 0 };

/** Who may become root in a terminal leaves files there that only root can remove. */
function contextOf(own: Container | undefined, asRoot: boolean): NonNullable<Container['securityContext']> {
  const tight = { privileged: false, allowPrivilegeEscalation: false, readOnlyRootFilesystem: true };
  if (asRoot) return { ...root, ...tight, capabilities: { drop: ['ALL'], add: ['DAC_OVERRIDE', 'FOWNER'] } };
  return { ...own?.securityContext, ...tight, capabilities: { drop: ['ALL'] } };
}

/** The home may be closed to its own user. */
function scriptOf(keep: readonly string[]): string {
  return `chmod u+rwx ${homeTarget} 2>/dev/null\ncd ${homeTarget} || exit 1\n${wipeScript(keep)}`;
}
