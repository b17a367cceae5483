/**
 * The removal of baked images that nothing needs any more, and of what a crash left of a bake.
 * @module
 */
import type Docker from 'dockerode';
import type { ImageInfo } from 'dockerode';
import { labels, managedBy } from './container.ts';
import { engineCall, statusOf } from './engine.ts';
import { bakedLabels, bakedRepository, bakingPrefix } from './recipe.ts';
import { removeContainer } from './short-lived.ts';

/** What must stay. */
export interface Belongings {
  /** Of recipes that policies in force have. */
  readonly hashes: ReadonlySet<string>;
  /** Images of policies in force of which it is not known now what they are: all that was baked from them. */
  readonly images: ReadonlySet<string>;
  /** Of recipes that this process bakes right now. */
  readonly baking: ReadonlySet<string>;
}

export interface Age {
  /** Since when each image has been seen unused, by its id; kept between calls. */
  readonly unusedSince: Map<string, number>;
  readonly keepUnusedMs: number;
}

/** @returns the names of the images that were removed */
export async function collectBaked(
  docker: Docker,
  needed: Belongings,
  age: Age,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const containers = await engineCall(signal, (abortSignal) =>
    docker.listContainers({ all: true, abortSignal }),
  );
  for (const { Id, Names, Labels } of containers) {
    const name = Names.find((one) => one.startsWith(`/${bakingPrefix}`));
    if (name === undefined || Labels[labels.kubernetesManagedBy] !== managedBy) continue;
    if (needed.baking.has(name.slice(bakingPrefix.length + 1))) continue;
    await removeContainer(docker.getContainer(Id));
  }
  const used = new Set(containers.map(({ ImageID }) => ImageID));
  const filters = { label: [bakedLabels.hash, `${labels.managedBy}=${managedBy}`] };
  const images = await engineCall(signal, (abortSignal) => docker.listImages({ filters, abortSignal }));
  const unused = images.filter((image) => !used.has(image.Id) && !isNeeded(image, needed));
  const removed: string[] = [];
  for (const image of dueImages(unused, age)) {
    const name = nameOf(image);
    if (name !== null && (await removeImage(docker, name, signal))) removed.push(name);
  }
  return removed;
}

function isNeeded({ Labels: found }: ImageInfo, { hashes, images }: Belongings): boolean {
  return hashes.has(found[bakedLabels.hash] ?? '') || images.has(found[bakedLabels.image] ?? '');
}

function dueImages(unused: readonly ImageInfo[], { unusedSince, keepUnusedMs }: Age): readonly ImageInfo[] {
  const ids = new Set(unused.map(({ Id }) => Id));
  for (const id of unusedSince.keys()) if (!ids.has(id)) unusedSince.delete(id);
  const now = Date.now();
  return unused.filter(({ Id }) => {
    const since = unusedSince.get(Id) ?? now;
    unusedSince.set(Id, since);
    return now - since >= keepUnusedMs;
  });
}

/**
 * What to remove it by: its name where it has ours, its id where it lost its name. Null: somebody else's that was made from
 * one of ours and inherited its labels.
 */
function nameOf({ Id, ParentId, RepoTags, Labels: found }: ImageInfo): string | null {
  const ours = `${bakedRepository}:${found[bakedLabels.hash]}`;
  const names = (RepoTags ?? []).filter((name) => name !== '<none>:<none>');
  if (names.includes(ours)) return ours;
  return names.length === 0 && ParentId === found[bakedLabels.imageId] ? Id : null;
}

/** The engine refuses where a container came to use it meanwhile, and what stands before the engine may, too. */
async function removeImage(docker: Docker, name: string, signal: AbortSignal): Promise<boolean> {
  try {
    // What it was made from may have no name either, and is not ours.
    await engineCall(signal, () => docker.getImage(name).remove({ noprune: true }));
    return true;
  } catch (error) {
    if (statusOf(error) !== null) return false;
    throw error;
  }
}
