/** A store that watches a real directory, as the tests of watching need it. */
import { writeFileSync } from 'node:fs';
import { after } from 'node:test';
import pino from 'pino';
import { DirectorySource } from '../../src/policy/directory.ts';
import type { PolicySet } from '../../src/policy/policy.ts';
import { PolicyStore } from '../../src/policy/store.ts';
import { policyText, rulesWith, until } from './fixtures.ts';

export interface Watched {
  readonly store: PolicyStore;
  /** Every set that was told, the newest last. */
  readonly changes: readonly PolicySet[];
  /** The image of a policy in force; undefined where there is none. */
  image(name: string): string | undefined;
  /** Waits until a policy has this image. */
  untilImage(name: string, image: string | undefined): Promise<void>;
}

/** Starts watching, until the test file ends. @param quietMs as that of the source */
export async function watched(directory: string, quietMs?: number): Promise<Watched> {
  const ended = new AbortController();
  after(() => ended.abort());
  const source = new DirectorySource(directory, directory, quietMs);
  const store = new PolicyStore({ source, rules: rulesWith(), log: pino({ level: 'silent' }) });
  const changes: PolicySet[] = [];
  store.onChange((next) => changes.push(next));
  await store.start(ended.signal);
  const image = (name: string) =>
    [...store.current.policies.values()].find(({ id }) => id === name)?.spec.image;
  return {
    store,
    changes,
    image,
    untilImage: (name, wanted) => until(`${name} has the image ${wanted}`, () => image(name) === wanted),
  };
}

/** Writes a policy of that name and image. */
export function writePolicy(file: string, name: string, image: string): void {
  writeFileSync(file, policyText(name, `image: ${image}`));
}
