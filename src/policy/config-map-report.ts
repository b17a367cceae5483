/**
 * What became of the policies of a ConfigMap, told on it: as an annotation, whose JSON is the state, and as Events, which are
 * the news. The annotation is also what is remembered, so that another process that goes on says nothing twice.
 * @module
 */
import type { Logger } from 'pino';
import { isMap } from '../json.ts';
import type { KubeClient } from '../kubernetes/client.ts';
import type { EventRecorder } from '../kubernetes/event-recorder.ts';
import { type ConfigMap, configMaps, pathOf } from '../kubernetes/objects.ts';
import type { PolicyId } from '../terminal/terminal.ts';
import type { PolicySet, Standing } from './policy.ts';
import { problemText } from './store.ts';

/** On each ConfigMap: what became of it, as JSON. */
export const statusAnnotation = 'terminals.openwebui.com/status';

/** The field manager of the annotation. */
export const component = 'terminals-orchestrator';

export interface ConfigMapReportOptions {
  readonly client: Pick<KubeClient, 'request'>;
  readonly events: Pick<EventRecorder, 'record' | 'forget'>;
  /** Whether it is this process that tells. */
  readonly leads: () => boolean;
  readonly log: Logger;
}

/** What there is to tell. */
export interface News {
  readonly set: PolicySet;
  readonly standings: ReadonlyMap<PolicyId, Standing>;
}

type Told = Pick<Standing, 'type' | 'reason' | 'lastTransitionTime'> & { readonly message?: string };

interface Status {
  readonly policies: readonly string[];
  readonly problems: readonly string[];
  /** Problems that are left out. */
  readonly more?: number;
  readonly conditions: Readonly<Record<string, Told>>;
  readonly lastHandledReconcileAt?: string;
}

/** More would be read by nobody. */
const mostProblems = 20;

interface Said {
  readonly text: string;
  /** Whether it is in the annotation. */
  written: boolean;
}

export class ConfigMapReport {
  readonly #options: ConfigMapReportOptions;
  /** Said last of each ConfigMap; its own annotation is known a moment later only. */
  readonly #said = new Map<string, Said>();
  /** One after the other, so that what was said last is what stays. */
  #writing: Promise<void> = Promise.resolve();

  constructor(options: ConfigMapReportOptions) {
    this.#options = options;
  }

  /**
   * Tells what is not told yet.
   * @param handled the request for a look that was answered last
   */
  tell(map: ConfigMap, { set, standings }: News, handled: string | undefined): void {
    const { name } = map.metadata;
    // What another says meanwhile is read from the annotation.
    if (!this.#options.leads()) this.#said.delete(name);
    else {
      const before = this.#said.get(name) ?? saidBefore(map);
      const known = before === undefined ? null : parseStatus(before.text);
      const status = statusOf(map, set, standings, known, handled);
      const text = JSON.stringify(status);
      const said = text === before?.text ? before : { text, written: false };
      this.#said.set(name, said);
      if (said !== before) {
        this.#recordProblems(map, status, known);
        this.#recordConditions(map, status, known, standings);
      }
      if (!said.written) this.#writing = this.#writing.then(() => this.#write(map, said));
    }
  }

  /** The ConfigMap is gone. */
  forget(map: ConfigMap): void {
    this.#options.events.forget(map);
    this.#said.delete(map.metadata.name);
  }

  #recordProblems(map: ConfigMap, { policies, problems }: Status, known: Status | null): void {
    const essence = (status: Pick<Status, 'policies' | 'problems'>) =>
      JSON.stringify([status.policies, status.problems]);
    if (known !== null && essence(known) === essence({ policies, problems })) return;
    const { events } = this.#options;
    if (problems.length > 0) events.record(map, 'Warning', 'PolicyProblem', problems.join('\n'));
    else if (known !== null)
      events.record(map, 'Normal', 'PoliciesLoaded', 'all of its policies are in force');
  }

  #recordConditions(
    map: ConfigMap,
    { conditions }: Status,
    known: Status | null,
    standings: News['standings'],
  ): void {
    for (const [policy, { type, reason }] of Object.entries(conditions)) {
      const before = known?.conditions[policy];
      // That all is well with one that is new is no news.
      if (before === undefined ? type === 'Ready' : before.type === type && before.reason === reason)
        continue;
      const message = `policy ${policy} is ${type}: ${standings.get(policy as PolicyId)?.message ?? reason}`;
      this.#options.events.record(map, type === 'Stalled' ? 'Warning' : 'Normal', reason, message);
    }
  }

  async #write({ metadata }: ConfigMap, said: Said): Promise<void> {
    const { client, log } = this.#options;
    const { name, namespace } = metadata;
    if (said.written || this.#said.get(name) !== said) return;
    const body = { metadata: { annotations: { [statusAnnotation]: said.text } } };
    const contentType = 'application/merge-patch+json';
    try {
      const options = { query: { fieldManager: component }, body, contentType };
      await client.request('PATCH', pathOf(configMaps, namespace, name), options);
      said.written = true;
    } catch (error) {
      // It is tried again when something is told the next time.
      log.debug({ err: error, configMap: name }, 'its status could not be written');
    }
  }
}

/** `configmap/NAME/KEY` is the path of a file. */
export function pathIn(map: Pick<ConfigMap, 'metadata'>, key: string): string {
  return `configmap/${map.metadata.name}/${key}`;
}

function saidBefore({ metadata }: ConfigMap): Said | undefined {
  const text = metadata.annotations?.[statusAnnotation];
  return text === undefined ? undefined : { text, written: true };
}

function statusOf(
  map: ConfigMap,
  set: PolicySet,
  standings: News['standings'],
  known: Status | null,
  handled: string | undefined,
): Status {
  const prefix = pathIn(map, '');
  const own = set.problems.filter(({ file }) => file.startsWith(prefix));
  const problems = own
    .slice(0, mostProblems)
    .map((problem) => problemText({ ...problem, file: problem.file.slice(prefix.length) }));
  const policies = [...set.policies.values()]
    .filter(({ declaredAt }) => declaredAt.file.startsWith(prefix))
    .map(({ id }) => id);
  const conditions = policies.flatMap((id) => {
    const [standing, before] = [standings.get(id), known?.conditions[id]];
    const told = standing === undefined ? before : toldOf(standing, before);
    return told === undefined ? [] : [[id, told] as const];
  });
  return {
    ...{ policies, problems },
    ...(own.length > problems.length ? { more: own.length - problems.length } : {}),
    conditions: Object.fromEntries(conditions),
    ...(handled === undefined ? {} : { lastHandledReconcileAt: handled }),
  };
}

/** Without what changes with every terminal that comes and goes. */
function toldOf({ type, reason, message, lastTransitionTime }: Standing, known: Told | undefined): Told {
  const since = known?.type === type ? known.lastTransitionTime : lastTransitionTime;
  return { type, reason, ...(type === 'Stalled' ? { message } : {}), lastTransitionTime: since };
}

/** null: nothing that this writes. */
function parseStatus(text: string): Status | null {
  try {
    const value: unknown = JSON.parse(text);
    if (!isMap(value) || !Array.isArray(value.policies) || !Array.isArray(value.problems)) return null;
    const conditions = isMap(value.conditions) ? value.conditions : {};
    const told = Object.entries(conditions).filter((entry): entry is [string, Told] => isTold(entry[1]));
    return { policies: value.policies, problems: value.problems, conditions: Object.fromEntries(told) };
  } catch {
    return null;
  }
}

function isTold(value: unknown): value is Told {
  if (!isMap(value)) return false;
  const { type, reason, lastTransitionTime } = value;
  return [type, reason, lastTransitionTime].every((field) => typeof field === 'string');
}
