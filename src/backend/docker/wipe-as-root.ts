/**
 * Emptying a home as root where Terminals itself is not: what users made with sudo only a container can remove.
 * @module
 */
import type Docker from 'dockerode';
import type { Container } from 'dockerode';
import { type Wiping, wipeTimeoutMs } from '../wipe.ts';
import { labels, managedBy } from './container.ts';
import { accepting, engineCall, statusOf } from './engine.ts';
import type { Images } from './images.ts';
import { exitCodeOf, removeContainer } from './short-lived.ts';

export interface RootWipe {
  /** The terminal's name. */
  readonly name: string;
  /** The home as the engine's host names it. */
  readonly hostHome: () => Promise<string>;
  readonly images: Pick<Images, 'ensure' | 'forget'>;
  /** One that has a shell. */
  readonly image: string;
}

const target = '/home-to-empty';

/** Runs the script in a container of its own that sees nothing but the home, and has no network. */
export function wipeAsRoot(docker: Docker, wiped: RootWipe): Wiping {
  return async (script, signal) => {
    const made = await create(docker, wiped, script, signal);
    const limit = AbortSignal.timeout(wipeTimeoutMs);
    try {
      const exitCode = await exitCodeOf(made, AbortSignal.any([signal, limit]));
      return exitCode === 0 ? null : [`a container of ${wiped.image} ended with ${exitCode}`];
    } catch (error) {
      if (!limit.aborted || signal.aborted) throw error;
      return [`a container of ${wiped.image} had not ended after ${wipeTimeoutMs / 60_000} minutes`];
    } finally {
      await removeContainer(made);
    }
  };
}

async function create(
  docker: Docker,
  { name, hostHome, images, image }: RootWipe,
  script: string,
  signal: AbortSignal,
): Promise<Container> {
  // No terminal's name has a dot in it. What a crash left of an earlier try goes first.
  const ownName = `${name}.reset`;
  const left = docker.getContainer(ownName);
  await accepting(
    engineCall(signal, () => left.remove({ force: true, v: true })),
    [404],
  );
  const options = { ...containerOf(script, await hostHome(), image), name: ownName };
  for (let attempt = 1; ; attempt += 1) {
    await images.ensure(image, () => undefined, signal);
    try {
      return await engineCall(signal, () => docker.createContainer(options));
    } catch (error) {
      if (statusOf(error) !== 404 || attempt > 1) throw error;
      // It was removed since it was last asked for.
      images.forget(image);
    }
  }
}

function containerOf(script: string, source: string, image: string) {
  return {
    Image: image,
    Entrypoint: ['/bin/sh', '-c', script],
    Cmd: [],
    User: '0:0',
    Env: ['PATH=/usr/bin:/bin:/usr/sbin:/sbin', 'LC_ALL=C'],
    WorkingDir: target,
    // Not ours as terminals are: it is none.
    Labels: { [labels.kubernetesManagedBy]: managedBy },
    HostConfig: {
      NetworkMode: 'none',
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      CapAdd: ['DAC_OVERRIDE', 'FOWNER'],
      SecurityOpt: ['no-new-privileges'],
      Mounts: [{ Type: 'bind' as const, Source: source, Target: target }],
    },
  };
}
