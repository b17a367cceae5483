/**
 * Events on an object, as `kubectl describe` shows them. They are news, no state: what can't be written is left out.
 * @module
 */
import type { Logger } from 'pino';
import type { KubeClient } from './client.ts';
import { events, type KubeObject } from './objects.ts';

export interface EventRecorderOptions {
  readonly client: Pick<KubeClient, 'create'>;
  /** Who says it: `terminals-operator`. */
  readonly component: string;
  /** Which of its replicas. */
  readonly instance: string;
  readonly log: Logger;
}

export type EventType = 'Normal' | 'Warning';

/** The API server takes no more in a note. */
const longestMessage = 1_024;

export class EventRecorder {
  readonly #options: EventRecorderOptions;
  /** The last thing said of an object, so that a thing said again and again is said once. */
  readonly #last = new Map<string, string>();

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Says it, unless it was the last thing said of this object. */
  record(about: KubeObject, type: EventType, reason: string, message: string): void {
    const { uid = '' } = about.metadata;
    const said = `${reason} ${message}`;
    if (this.#last.get(uid) === said) return;
    this.#last.set(uid, said);
    void this.#write(about, type, reason, message.slice(0, longestMessage));
  }

  /** The object is gone. */
  forget(about: KubeObject): void {
    this.#last.delete(about.metadata.uid ?? '');
  }

  async #write(about: KubeObject, type: EventType, reason: string, message: string): Promise<void> {
    const { client, component, instance, log } = this.#options;
    const { name, namespace = 'default', uid, resourceVersion } = about.metadata;
    const now = new Date().toISOString();
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: `${name.slice(0, 200)}.${uniquePart()}`, namespace },
      involvedObject: {
        apiVersion: about.apiVersion,
        kind: about.kind,
        name,
        namespace,
        uid,
        resourceVersion,
      },
      type,
      reason,
      message,
      source: { component },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
      reportingComponent: component,
      reportingInstance: instance,
    };
    try {
      await client.create(events, event, component);
    } catch (error) {
      log.debug({ err: error, reason }, 'an Event could not be written');
    }
  }
}

function uniquePart(): string {
  return `${Date.now().toString(16)}${Math.floor(Math.random() * 0x10000)
    .toString(16)
    .padStart(4, '0')}`;
}
