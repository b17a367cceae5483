/** Packages of policies get into images before anybody asks, through the whole program. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { bakedImages, bakingContainers, deafIndex } from '../backend/docker/baked.ts';
import { docker } from '../backend/docker/engine.ts';
import { withoutDocker } from '../engines.ts';
import {
  asUser,
  command,
  key,
  type RunningProgram,
  removeFolder,
  serve,
  temporaryFolder,
  waitFor,
} from './program.ts';

const env = { PIP_OF_THIS_TEST: randomBytes(4).toString('hex') };

describe('packages of a policy', { skip: await withoutDocker() }, () => {
  let folder: string;
  let variables: Record<string, string>;
  let program: RunningProgram;
  let known: ReadonlySet<string>;

  before(async () => {
    folder = await temporaryFolder();
    known = new Set((await bakedImages()).map(({ Id }) => Id));
    await mkdir(path.join(folder, 'policies'));
    await declare('good', { pipPackages: ['six'], env });
    await declare('broken', { pipPackages: ['six==0.0.0.1'], env });
    variables = {
      TERMINALS_BACKEND: 'docker',
      TERMINALS_DATA_DIR: path.join(folder, 'data'),
      TERMINALS_POLICIES_DIR: path.join(folder, 'policies'),
    };
    program = await serve(variables);
  });

  after(async () => {
    await program?.stop();
    await command(['delete', '--all', '--yes'], variables);
    for (const { Id } of await bakedImages()) {
      if (!known.has(Id)) await docker.getImage(Id).remove({ force: true });
    }
    await removeFolder(folder);
  });

  async function declare(name: string, spec: object): Promise<void> {
    const file = path.join(folder, 'policies', `${name}.yaml`);
    const document = {
      apiVersion: 'terminals.openwebui.com/v1alpha1',
      kind: 'Policy',
      metadata: { name },
      spec,
    };
    await writeFile(`${file}.new`, JSON.stringify(document));
    await rename(`${file}.new`, file);
  }

  test('are in an image before anybody asks, and the first terminal has them without an install', async () => {
    await waitFor(
      () => program.log().includes('packages are in an image now') || undefined,
      60_000,
      () => program.log(),
    );
    const alice = asUser(program, 'alice', 'good');
    assert.equal(await alice.execute('python3 -c "import six; print(1)"'), '1');
    assert.equal(await alice.execute('env | grep -c OPEN_TERMINAL_PIP_PACKAGES || true'), '0');
  });

  test('that can not be had are a problem of the policy, and of no other', async () => {
    const problems = async () => {
      const response = await fetch(`${program.url}/api/v1/policies`, {
        headers: { authorization: `Bearer ${key}` },
      });
      const text = await response.text();
      return text.includes('every start installs them') ? text : undefined;
    };
    const text = await waitFor(problems, 60_000, () => program.log());
    assert.equal(text.split('every start installs them').length, 2, text);
    assert.match(text, /No matching distribution found for six==0\.0\.0\.1/);
  });

  test('that are being installed when Terminals ends leave nothing behind', async () => {
    await declare('slow', { pipPackages: ['six'], env: { ...env, ...deafIndex } });
    await waitFor(
      async () => (await bakingContainers()).length > 0 || undefined,
      30_000,
      () => program.log(),
    );
    await program.stop();
    assert.equal(program.child.exitCode, 0, program.log());
    assert.deepEqual(await bakingContainers(), []);
  });
});
