/** What a run finds out: one quantity, measured for each contender in each round. @module */

export type Contender =
  | 'direct'
  | 'nginx'
  | 'reply-from'
  | 'terminals'
  | 'docker run'
  | 'cold start'
  | 'one process'
  | 'shared key'
  | 'bare Pod'
  | 'limit';

export interface Measurement {
  /** `row.quantity`, e.g. `get-64.rate`: the goals refer to it. */
  readonly id: string;
  /** The load, for people. */
  readonly title: string;
  readonly unit: string;
  readonly better: 'more' | 'less';
  /** One value a round, in the order of the rounds. */
  readonly samples: Partial<Record<Contender, number[]>>;
}

/** The measurements of one run, by id. */
export class Measurements {
  readonly #byId = new Map<string, Measurement>();

  /** Adds one round's value. */
  add(
    what: Pick<Measurement, 'id' | 'title' | 'unit' | 'better'>,
    contender: Contender,
    value: number,
  ): void {
    const { id, title, unit, better } = what;
    const known = this.#byId.get(id);
    const measurement = known ?? { id, title, unit, better, samples: {} };
    if (!known) this.#byId.set(id, measurement);
    const samples = measurement.samples[contender] ?? [];
    measurement.samples[contender] = samples;
    samples.push(value);
  }

  get(id: string): Measurement | undefined {
    return this.#byId.get(id);
  }

  /** The values of one contender; empty where it was not measured. */
  of(id: string, contender: Contender): readonly number[] {
    return this.#byId.get(id)?.samples[contender] ?? [];
  }

  all(): readonly Measurement[] {
    return [...this.#byId.values()];
  }
}
