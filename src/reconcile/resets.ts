/**
 * When the policies' schedules empty which homes. Nothing is done here: the plan asks when a terminal is due, and what is
 * remembered is only since when each home is clean.
 * @module
 */
import type { Logger } from 'pino';
import type { Policy, PolicySet } from '../policy/policy.ts';
import { nextMoment } from '../policy/schedule.ts';
import type { Clean, PolicyId, TerminalName } from '../terminal/terminal.ts';
import type { ResetStore, SavedResets } from './reset-store.ts';

export interface ResetsOptions {
  /** Remembers over a restart; absent: this process alone knows. */
  readonly store?: Pick<ResetStore, 'load' | 'save' | 'saved'> | undefined;
  /** Whether the backend can empty a home; where it can't, none is ever due. */
  readonly supported: boolean;
  readonly log: Logger;
  readonly now?: () => number;
}

interface Track extends SavedResets {
  readonly terminals: Map<TerminalName, number>;
  /** When each terminal is due, worked out once for the time since which its home is clean. */
  readonly due: Map<TerminalName, { readonly clean: number; readonly at: number | null }>;
}

export class Resets {
  readonly #options: ResetsOptions;
  readonly #tracks = new Map<PolicyId, Track>();
  readonly #now: () => number;

  constructor(options: ResetsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Takes up what was known before this process began, for the policies in force. */
  async load(set: PolicySet): Promise<void> {
    const saved = (await this.#options.store?.load()) ?? new Map<PolicyId, SavedResets>();
    // A time in the future (a clock set back) would have nothing reset until then.
    const past = (at: number) => Math.min(at, this.#now());
    for (const [policy, known] of saved) {
      const terminals = new Map([...known.terminals].map(([name, at]) => [name, past(at)] as const));
      this.#tracks.set(policy, { ...known, since: past(known.since), terminals, due: new Map() });
    }
    // A policy that is not there may only be out of reach: what is known of it stays.
    this.#follow(set);
  }

  /** The policies in force changed. A schedule that is new begins now: what it names of the past is not done. */
  follow(set: PolicySet): void {
    for (const id of this.#tracks.keys()) if (!set.policies.get(id)?.spec.reset) this.#tracks.delete(id);
    this.#follow(set);
    this.#save();
  }

  /**
   * When this terminal's home is to be emptied the next time: in the past where that is still to be done; null: never.
   * One that is seen for the first time counts as made now.
   * @param kept since when its home is clean, where the backend keeps that: then nothing is remembered here
   */
  resetAt(policy: Policy, name: TerminalName, kept?: Clean): number | null {
    const track = this.#trackOf(policy);
    if (track === null) return null;
    const clean = this.#keptSince(track, kept) ?? this.#cleanSince(track, name);
    const known = track.due.get(name);
    if (known?.clean === clean) return known.at;
    const at = nextMoment(track, clean);
    track.due.set(name, { clean, at });
    return at;
  }

  /** As `resetAt`, also of a policy that is only proposed: nothing is remembered of it. */
  foresee({ id, spec: { reset } }: Policy, name: TerminalName, kept?: Clean): number | null {
    if (reset === undefined || !this.#options.supported) return null;
    const now = this.#now();
    if (kept !== undefined) return nextMoment(reset, this.#keptSince(reset, kept) ?? now);
    const known = this.#tracks.get(id);
    const same = known?.schedule === reset.schedule && known.timezone === reset.timezone;
    return nextMoment(reset, same ? Math.max(known.since, known.terminals.get(name) ?? now) : now);
  }

  /** null: the backend keeps nothing, or of another schedule. A time in the future would have nothing reset until then. */
  #keptSince(
    { schedule, timezone }: Pick<Clean, 'schedule' | 'timezone'>,
    kept: Clean | undefined,
  ): number | null {
    if (kept?.schedule !== schedule || kept.timezone !== timezone) return null;
    return Math.min(kept.since, this.#now());
  }

  #cleanSince(track: Track, name: TerminalName): number {
    const known = track.terminals.get(name);
    if (known !== undefined) return Math.max(known, track.since);
    const now = this.#now();
    track.terminals.set(name, now);
    this.#save();
    return now;
  }

  /** A home is empty, or gone: it counts from its next start. Resolves when that will be known after a restart. */
  async emptied(policy: PolicyId, name: TerminalName): Promise<void> {
    const track = this.#tracks.get(policy);
    track?.due.delete(name);
    if (track?.terminals.delete(name)) await this.#options.store?.save(this.#tracks);
  }

  /** Resolves when nothing is left to be written. */
  async saved(): Promise<void> {
    await this.#options.store?.saved();
  }

  #follow({ policies }: PolicySet): void {
    for (const policy of policies.values()) this.#trackOf(policy);
  }

  #trackOf({ id, spec: { reset } }: Policy): Track | null {
    if (reset === undefined) return null;
    const { schedule, timezone } = reset;
    const known = this.#tracks.get(id);
    if (known?.schedule === schedule && known.timezone === timezone) return this.#ifSupported(known);
    const since = this.#now();
    const terminals = known?.terminals ?? new Map<TerminalName, number>();
    const track = { schedule, timezone, since, terminals, due: new Map() };
    this.#tracks.set(id, track);
    this.#save();
    this.#say(id, track);
    return this.#ifSupported(track);
  }

  #ifSupported(track: Track): Track | null {
    return this.#options.supported ? track : null;
  }

  #say(policy: PolicyId, track: Track): void {
    const { supported, log } = this.#options;
    const { schedule, timezone, since } = track;
    const next = nextMoment(track, since);
    const fields = { policy, schedule, timezone, next: next === null ? null : new Date(next).toISOString() };
    if (!supported) log.warn(fields, 'this backend empties no homes: the schedule is left undone');
    else if (next === null) log.warn(fields, 'the schedule empties no homes any more: its time is over');
    else log.info(fields, 'homes are emptied on schedule');
  }

  #save(): void {
    void this.#options.store?.save(this.#tracks);
  }
}
