/**
 * What a baked image is made of, and the name and labels that say so. Pure.
 * @module
 */
import { createHash } from 'node:crypto';
import type { ImageInspectInfo } from 'dockerode';
import type { Workload } from '../../terminal/terminal.ts';
import { labels, managedBy } from './container.ts';

export const bakedRepository = 'terminals-baked';
/** Containers that bake are told by their name: an image inherits its container's labels, and terminals the image's. */
export const bakingPrefix = 'terminals-baking.';

/** The labels of a baked image. */
export const bakedLabels = {
  /** The recipe's hash. */
  hash: 'terminals.openwebui.com/baked',
  image: 'terminals.openwebui.com/baked-from',
  imageId: 'terminals.openwebui.com/baked-from-id',
  packages: 'terminals.openwebui.com/baked-packages',
  pipPackages: 'terminals.openwebui.com/baked-pip-packages',
} as const;

/** The policy's image as it is on the engine now. */
export type BaseImage = Pick<ImageInspectInfo, 'Id' | 'Config'>;

/** Equal recipes make one image, whichever policies ask for it. */
export interface Recipe {
  readonly hash: string;
  /** Name and tag of the baked image. */
  readonly tag: string;
  /** The policy's image by the policy's name for it. */
  readonly image: string;
  readonly base: BaseImage;
  readonly packages: readonly string[];
  readonly pipPackages: readonly string[];
  /** Variables of the policy that an install heeds, as `NAME=value`. */
  readonly env: readonly string[];
}

/** Whether a plain start of this workload installs anything. */
export function installs({ packages, pipPackages }: Workload): boolean {
  return packages.length + pipPackages.length > 0;
}

export function recipeOf(workload: Workload, base: BaseImage): Recipe {
  const { image, packages, pipPackages } = workload;
  const env = installVariables(workload);
  const hash = shortHash([base.Id, packages, pipPackages, env]);
  return { hash, tag: `${bakedRepository}:${hash}`, image, base, packages, pipPackages, env };
}

/** Tells workloads apart that may need different recipes, whatever their image is on the engine. */
export function orderOf(workload: Workload): string {
  const { image, packages, pipPackages } = workload;
  return shortHash([image, packages, pipPackages, installVariables(workload)]);
}

/** Where packages come from: an index, a proxy, certificates. Nothing else of a policy's variables gets into an image. */
const heeded = /^pip_|_proxy$|^(ssl_cert_file|requests_ca_bundle|curl_ca_bundle)$/i;

function installVariables({ env }: Workload): readonly string[] {
  return Object.entries(env)
    .filter(([name]) => heeded.test(name))
    .map(([name, value]) => `${name}=${value}`)
    .sort();
}

/** The configuration of the baked image: that of the policy's image, with our labels. */
export function bakedConfig({ hash, image, base, packages, pipPackages }: Recipe): Record<string, unknown> {
  const { Config: config } = base;
  return {
    ...config,
    // What is left open here, the engine would take from the container that baked.
    Entrypoint: config.Entrypoint ?? [],
    Cmd: config.Cmd ?? [],
    User: config.User || 'root',
    Labels: {
      ...config.Labels,
      [labels.managedBy]: managedBy,
      [labels.kubernetesManagedBy]: managedBy,
      [bakedLabels.hash]: hash,
      [bakedLabels.image]: image,
      [bakedLabels.imageId]: base.Id,
      [bakedLabels.packages]: packages.join(' '),
      [bakedLabels.pipPackages]: pipPackages.join(' '),
    },
  };
}

function shortHash(parts: unknown): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}
