/** Containers that do one piece of work, and are no terminals: those that bake, and that empty a home. @module */
import type { Container } from 'dockerode';
import { accepting, engineCall, unlimitedCall } from './engine.ts';

const removeLimitMs = 60_000;

/** Starts it, and resolves with its exit code when it has ended. */
export async function exitCodeOf(container: Container, signal: AbortSignal): Promise<number> {
  // Asked for first, so that one that ends at once is not missed.
  const ended: Promise<{ StatusCode: number }> = unlimitedCall(signal, (abortSignal) =>
    container.wait({ condition: 'next-exit', abortSignal }),
  );
  ended.catch(() => undefined);
  await engineCall(signal, (abortSignal) => container.start({ abortSignal }));
  return (await ended).StatusCode;
}

/** One that is not there, or is being removed, is no error; this has a time limit of its own, for shutdown. */
export async function removeContainer(container: Container): Promise<void> {
  const removed = engineCall(
    AbortSignal.timeout(removeLimitMs),
    () => container.remove({ force: true, v: true }),
    removeLimitMs,
  );
  await accepting(removed, [404, 409]);
}
