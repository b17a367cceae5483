/** Baked images in tests: policies whose packages nobody has baked before, and the removal of what was baked. @module */
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import type { ContainerInspectInfo, ImageInfo } from 'dockerode';
import pino, { type Logger } from 'pino';
import { bakedLabels, bakingPrefix, type Recipe, recipeOf } from '../../../src/backend/docker/recipe.ts';
import { type Declaration, renderTemplate } from '../../../src/terminal/desired.ts';
import type { Desired, Workload } from '../../../src/terminal/terminal.ts';
import { declaration, docker, openTerminal, type Place, placeFor, removeContainer } from './engine.ts';

export interface Bakery extends Place {
  /** As `desired`, of a workload that no other test has. */
  withPackages(user: string, changes: Partial<Declaration>): Desired;
}

/** After the test, its containers and then what was baked of its workloads are removed. */
export async function bakeryFor(t: TestContext): Promise<Bakery> {
  const place = await placeFor(t);
  const workloads: Workload[] = [];
  t.after(() => removeBaked(workloads));
  // Pip takes no notice of it; a recipe does.
  const run = { PIP_OF_THIS_TEST: randomBytes(4).toString('hex') };
  return {
    ...place,
    withPackages(user, { env = {}, ...changes }) {
      const all = { startTimeoutSeconds: 120, ...changes, env: { ...run, ...env } };
      const desired = place.desired(user, all);
      workloads.push(desired.workload);
      return desired;
    },
  };
}

/** A workload outside of a test's place. */
export function workloadWith(changes: Partial<Declaration>): Workload {
  return renderTemplate({ ...declaration, ...changes }).workload;
}

/** Removes what was baked of workloads, and what bakes them. */
export async function removeBaked(workloads: readonly Workload[]): Promise<void> {
  // All are made from this one; a test may have taken its own name for it away.
  const base = await docker.getImage(openTerminal).inspect();
  for (const workload of workloads) {
    const { hash } = recipeOf(workload, base);
    await removeContainer(`${bakingPrefix}${hash}`);
    for (const { Id } of await bakedImages(hash)) await docker.getImage(Id).remove({ force: true });
  }
}

/** The images with the hash of a recipe. */
export async function bakedImages(hash: string): Promise<readonly ImageInfo[]> {
  return docker.listImages({ filters: { label: [`${bakedLabels.hash}=${hash}`] } });
}

/** Names of the containers that bake a workload. */
export async function bakingContainers(workload: Workload): Promise<readonly string[]> {
  const own = `/${bakingPrefix}${(await recipeFor(workload)).hash}`;
  const all = await docker.listContainers({ all: true });
  return all.flatMap(({ Names }) => Names).filter((name) => name === own);
}

/** What the backend would make of a workload. */
export async function recipeFor(workload: Workload): Promise<Recipe> {
  return recipeOf(workload, await docker.getImage(workload.image).inspect());
}

/** Whether the image of a workload is there. */
export async function isBaked(workload: Workload): Promise<boolean> {
  const { hash, tag } = await recipeFor(workload);
  return (await bakedImages(hash)).some(({ RepoTags }) => RepoTags?.includes(tag));
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
