/**
 * Emptying a home as root where Terminals itself is not: what users made with sudo only a container can remove.
 * @module
 */
import type Docker from 'dockerode';
import type { Wiping } from '../wipe.ts';
import { labels, managedBy } from './container.ts';
import { accepting, engineCall, unlimitedCall } from './engine.ts';

export interface RootWipe {
  /** The terminal's name. */
  readonly name: string;
  /** The home as the engine's host names it. */
  readonly hostHome: () => Promise<string>;
  /** An image that has a shell, on the engine when it resolves. */
  readonly image: () => Promise<string>;
}

const target = '/home-to-empty';

/** Runs the script in a container of its own that sees nothing but the home, and has no network. */
export function wipeAsRoot(docker: Docker, { name, hostHome, image }: RootWipe): Wiping {
  return async (script, signal) => {
    // No terminal's name has a dot in it. What a crash left of an earlier try goes first.
    const container = docker.getContainer(`${name}.reset`);
    const removed = () => engineCall(signal, () => container.remove({ force: true, v: true }));
    await accepting(removed(), [404]);
    const options = { ...containerOf(script, await hostHome(), await image()), name: `${name}.reset` };
    const made = await engineCall(signal, () => docker.createContainer(options));
    try {
      const ended = unlimitedCall(signal, (abortSignal) =>
        made.wait({ condition: 'next-exit', abortSignal }),
      );
      ended.catch(() => undefined);
      await engineCall(signal, () => made.start());
      const { StatusCode }: { StatusCode: number } = await ended;
      return StatusCode === 0 ? null : [`a container of ${options.Image} ended with ${StatusCode}`];
    } finally {
      await accepting(made.remove({ force: true, v: true }), [404, 409]);
    }
  };
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
