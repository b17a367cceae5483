/** Baked images in tests: policies whose packages nobody has baked before, and the removal of what was baked. @module */
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import type { ContainerInspectInfo, ImageInfo } from 'dockerode';
import pino, { type Logger } from 'pino';
import { bakedLabels, bakingPrefix, type Recipe, recipeOf } from '../../../src/backend/docker/recipe.ts';
import type { Declaration } from '../../../src/terminal/desired.ts';
import type { Desired, Workload } from '../../../src/terminal/terminal.ts';
import { docker, type Place, placeFor, removeContainer } from './engine.ts';

export interface Bakery extends Place {
  /** As `desired`, of a workload that no other test has. */
  withPackages(user: string, changes: Partial<Declaration>): Desired;
}

/** After the test, its containers and then all baked images that it added are removed. */
export async function bakeryFor(t: TestContext): Promise<Bakery> {
  const before = new Set((await bakedImages()).map(({ Id }) => Id));
  const place = await placeFor(t);
  t.after(async () => {
    for (const name of await bakingContainers()) await removeContainer(name);
    for (const { Id } of await bakedImages()) {
      if (!before.has(Id)) await docker.getImage(Id).remove({ force: true });
    }
  });
  // Pip takes no notice of it; a recipe does.
  const run = { PIP_OF_THIS_TEST: randomBytes(4).toString('hex') };
  return {
    ...place,
    withPackages: (user, { env = {}, ...changes }) =>
      place.desired(user, { startTimeoutSeconds: 120, ...changes, env: { ...run, ...env } }),
  };
}

export async function bakedImages(): Promise<readonly ImageInfo[]> {
  return docker.listImages({ filters: { label: [bakedLabels.hash] } });
}

/** Names of the containers that bake. */
export async function bakingContainers(): Promise<readonly string[]> {
  const all = await docker.listContainers({ all: true });
  return all.flatMap(({ Names }) => Names).filter((name) => name.startsWith(`/${bakingPrefix}`));
}

/** What the backend would make of a workload. */
export async function recipeFor(workload: Workload): Promise<Recipe> {
  return recipeOf(workload, await docker.getImage(workload.image).inspect());
}

/** Whether the image of a workload is there. */
export async function isBaked(workload: Workload): Promise<boolean> {
  const { tag } = await recipeFor(workload);
  return (await bakedImages()).some(({ RepoTags }) => RepoTags?.includes(tag));
}

/** The variables that have a container install something, by a container's name. */
export async function installVariables(name: string): Promise<readonly string[]> {
  const info: ContainerInspectInfo = await docker.getContainer(name).inspect();
  return info.Config.Env.filter((variable) => /^OPEN_TERMINAL_\w*PACKAGES=/.test(variable));
}

/** A log whose lines a test can read. */
export function logged(): { readonly lines: string[]; readonly log: Logger } {
  const lines: string[] = [];
  return { lines, log: pino({}, { write: (line: string) => void lines.push(line) }) };
}

/** A package index that nobody answers for, asked again and again: an install from it takes minutes. */
export const deafIndex = { PIP_INDEX_URL: 'http://127.0.0.1:9/simple', PIP_RETRIES: '100' };
