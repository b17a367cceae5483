/** What every row group is handed: how long, how often, where to write, whom to measure. @module */
import { Field } from './contenders/field.ts';
import { Measurements } from './measurement.ts';

export interface Options {
  readonly quick: boolean;
  /** A group or one of its rows; null: all. */
  readonly only: string | null;
  /** Of a cluster, kept for the next run; null: one for this run. */
  readonly namespace: string | null;
  /** For what the run needs, removed at its end. */
  readonly folder: string;
}

export class Context {
  readonly quick: boolean;
  readonly namespace: string | null;
  readonly folder: string;
  readonly measurements = new Measurements();
  /** What can't be measured, as is known: a peer that is not able to do it, a route that is not there yet. */
  readonly notes = new Map<string, string>();
  /** What should have been measured and was not. */
  readonly failures = new Map<string, string>();
  readonly #only: string | null;
  #field: Promise<Field> | null = null;

  constructor({ quick, only, namespace, folder }: Options) {
    this.quick = quick;
    this.namespace = namespace;
    this.folder = folder;
    this.#only = only;
  }

  /** One number for a full run, another for a quick one. */
  pick<T>(full: T, quick: T): T {
    return this.quick ? quick : full;
  }

  /** Whether a row of a group was asked for. */
  wants(group: string, row: string): boolean {
    return this.#only === null || this.#only === group || this.#only === row;
  }

  /** The contenders, started when they are first needed. */
  field(): Promise<Field> {
    this.#field ??= Field.start(this.folder);
    return this.#field;
  }

  async close(): Promise<void> {
    const field = await this.#field?.catch(() => null);
    await field?.stop();
  }
}

/** One file's rows. */
export interface RowGroup {
  readonly name: string;
  readonly rows: readonly string[];
  /** Measures those of its rows that `context.wants`. */
  run(context: Context): Promise<void>;
}
