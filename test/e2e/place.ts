/** Where a program of a test has its policies and data, with nothing left of it at the end. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { policyWith } from '../policy/fixtures.ts';
import { command, removeFolder, temporaryFolder } from './program.ts';

export interface Place {
  readonly folder: string;
  readonly policies: string;
  /** What the program is started with. */
  readonly variables: Record<string, string>;
  /**
   * Saves a policy as editors do: another file, renamed onto the old.
   * @param spec as YAML, or what that would be
   * @param directory another one than that of the program
   */
  declare(name: string, spec: string | object, directory?: string): Promise<void>;
  /** Deletes all terminals and the folder; the program has to have ended. */
  clear(): Promise<void>;
}

/** Deletes all terminals of the backend, also those that an earlier run left; no program may be using them. */
export async function deleteAll(variables: Record<string, string>): Promise<void> {
  await command(['delete', '--all', '--yes'], variables);
}

export async function makePlace(backend: string, extra: Record<string, string> = {}): Promise<Place> {
  const folder = await temporaryFolder();
  const policies = path.join(folder, 'policies');
  await mkdir(policies);
  const variables = {
    TERMINALS_BACKEND: backend,
    TERMINALS_DATA_DIR: path.join(folder, 'data'),
    TERMINALS_POLICIES_DIR: policies,
    ...extra,
  };
  return {
    folder,
    policies,
    variables,
    async declare(name, spec, directory = policies) {
      const file = path.join(directory, `${name}.yaml`);
      await writeFile(`${file}.new`, policyWith(name, spec));
      await rename(`${file}.new`, file);
    },
    async clear() {
      await deleteAll(variables);
      await removeFolder(folder);
    },
  };
}
