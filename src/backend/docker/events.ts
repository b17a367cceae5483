/**
 * The engine's event stream about our containers; a lost one is taken up again, and says so.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import type { Logger } from 'pino';
import { unlimitedCall } from './engine.ts';

export interface EventReceiver {
  /** Something happened to the container of this id, which has or had these labels. */
  happened(containerId: string, labels: Readonly<Record<string, string>>): void;
  /** This container, which may be anybody's, was put into a network or cut from one. */
  networkChanged(containerId: string): void;
  /** The stream is (back) up: what happened before is not known. */
  connected(): Promise<void>;
  /** It could not be opened, or was lost; it is tried again. */
  lost(): void;
}

const kinds = ['start', 'die', 'stop', 'kill', 'pause', 'unpause', 'destroy', 'update', 'oom', 'rename'];
const networkKinds = ['connect', 'disconnect'];
const firstPauseMs = 100;
const longestPauseMs = 5_000;
/** A line longer than this is not an event. */
const longestLine = 1024 * 1024;

/** Follows events until the signal aborts; never rejects. */
export async function followEvents(
  docker: Docker,
  receiver: EventReceiver,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  let pause = firstPauseMs;
  let lost = false;
  while (!signal.aborted) {
    try {
      // Not filtered by label: events of networks have none, and those of other containers are dropped here.
      const filters = JSON.stringify({ type: ['container', 'network'], event: [...kinds, ...networkKinds] });
      const stream = await unlimitedCall(signal, (abortSignal) => docker.getEvents({ filters, abortSignal }));
      try {
        if (lost) log.info('the Docker event stream is back');
        lost = false;
        await receiver.connected();
        pause = firstPauseMs;
        await readLines(stream, (line) => receive(line, receiver));
      } finally {
        if ('destroy' in stream && typeof stream.destroy === 'function') stream.destroy();
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!lost) log.warn({ err: error }, 'the Docker event stream is lost; it is taken up again');
    }
    lost = true;
    receiver.lost();
    await sleep(pause, undefined, { signal }).catch(() => undefined);
    pause = Math.min(pause * 2, longestPauseMs);
  }
}

function receive(line: string, receiver: EventReceiver): void {
  const event: unknown = JSON.parse(line);
  if (typeof event !== 'object' || event === null || !('Actor' in event)) return;
  const { Actor: actor } = event;
  if (typeof actor !== 'object' || actor === null || !('ID' in actor)) return;
  const attributes = 'Attributes' in actor && typeof actor.Attributes === 'object' ? actor.Attributes : {};
  if (!('Type' in event) || event.Type !== 'network') receiver.happened(String(actor.ID), { ...attributes });
  else if (attributes !== null && 'container' in attributes)
    receiver.networkChanged(String(attributes.container));
}

/** Chunks split anywhere, also within a character. */
async function readLines(stream: NodeJS.ReadableStream, take: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(Buffer.from(chunk), { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > longestLine) throw new Error('the event stream sends no lines');
    for (const line of lines) if (line.trim() !== '') take(line);
  }
}
