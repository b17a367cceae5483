import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { SecretFiles } from '../../src/backend/secret-files.ts';
import { SecretMissingError } from '../../src/errors.ts';
import type { SecretReference } from '../../src/terminal/terminal.ts';
import { desired } from '../terminal/fixtures.ts';

const value = 'sk-very-secret';
const openai = { name: 'team-keys', key: 'openai' };

/** A directory of secrets with `team-keys/openai` in it, and a file beside it that is nobody's business. */
async function directory(t: TestContext, content: string | Buffer = value): Promise<string> {
  const outer = await mkdtemp(path.join(tmpdir(), 'secrets-'));
  t.after(() => rm(outer, { recursive: true }));
  await writeFile(path.join(outer, 'private'), value);
  await mkdir(path.join(outer, 'secrets/team-keys'), { recursive: true });
  await writeFile(path.join(outer, 'secrets/team-keys/openai'), content);
  return path.join(outer, 'secrets');
}

function read(folder: string | null, reference: SecretReference = openai) {
  return new SecretFiles(folder).variables(desired({ secretEnv: { KEY: reference } }));
}

/** It fails with words that hold no value; and what is wrong is known before a start, too. */
async function refuses(folder: string | null, why: RegExp, reference: SecretReference = openai) {
  await assert.rejects(read(folder, reference), (error) => {
    assert.ok(error instanceof SecretMissingError);
    assert.match(error.message, why);
    assert.match(error.message, /variable KEY of policy "default"/);
    assert.ok(`${error.message} ${error.hint}`.includes(`${reference.name}/${reference.key}`));
    assert.ok(!`${error.message} ${error.hint} ${error.stack} ${error.cause}`.includes(value));
    return true;
  });
}

function trouble(folder: string | null, reference: SecretReference = openai): string | null {
  return new SecretFiles(folder).trouble(desired({ secretEnv: { KEY: reference } }).workload);
}

test('a value is the content of NAME/KEY, without one line feed at its end', async (t) => {
  for (const [content, expected] of [
    ['abc', 'abc'],
    ['abc\n', 'abc'],
    ['abc\r\n', 'abc'],
    ['abc\n\n', 'abc\n'],
    ['-----BEGIN\nabc\n-----END\n', '-----BEGIN\nabc\n-----END'],
    [' ä ', ' ä '],
    ['', ''],
  ] as const) {
    const folder = await directory(t, content);
    assert.deepEqual(await read(folder), { KEY: expected });
    assert.equal(trouble(folder), null);
  }
});

test('it is read anew each time', async (t) => {
  const folder = await directory(t);
  const secrets = new SecretFiles(folder);
  const wanted = desired({ secretEnv: { KEY: openai, SAME: openai } });
  assert.deepEqual(await secrets.variables(wanted), { KEY: value, SAME: value });
  await writeFile(path.join(folder, 'team-keys/openai'), 'other');
  assert.deepEqual(await secrets.variables(wanted), { KEY: 'other', SAME: 'other' });
});

test('without secrets in the policy nothing is looked for', async () => {
  const none = new SecretFiles(null);
  assert.deepEqual(await none.variables(desired()), {});
  assert.equal(none.trouble(desired().workload), null);
});

test('a Secret that Kubernetes mounted, with its links within the directory, is read, also once it was swapped', async (t) => {
  const folder = await directory(t);
  const mounted = path.join(folder, 'mounted');
  for (const version of ['1', '2']) {
    await mkdir(path.join(mounted, `..v${version}`), { recursive: true });
    await writeFile(path.join(mounted, `..v${version}`, 'openai'), `value ${version}\n`);
  }
  await symlink('..v1', path.join(mounted, '..data'));
  await symlink('..data/openai', path.join(mounted, 'openai'));
  const reference = { name: 'mounted', key: 'openai' };
  assert.deepEqual(await read(folder, reference), { KEY: 'value 1' });
  await symlink('..v2', path.join(mounted, '..data_tmp'));
  await rename(path.join(mounted, '..data_tmp'), path.join(mounted, '..data'));
  assert.deepEqual(await read(folder, reference), { KEY: 'value 2' });
  assert.equal(trouble(folder, reference), null);
});

test('the directory itself may be a link', async (t) => {
  const folder = await directory(t);
  await symlink(folder, `${folder}-link`);
  assert.deepEqual(await read(`${folder}-link`), { KEY: value });
});

describe('nothing outside of the directory is read', () => {
  for (const [name, key] of [
    ['..', 'private'],
    ['team-keys', '../../private'],
    ['team-keys/..', 'openai'],
    ['.', 'openai'],
    ['team-keys', '..'],
    ['', 'openai'],
    ['team-keys', ''],
    ['team-keys', 'openai\0'],
  ] as const) {
    test(`by the reference ${JSON.stringify(`${name}/${key}`)}`, async (t) => {
      const folder = await directory(t);
      await refuses(folder, /no plain name/, { name, key });
      assert.match(trouble(folder, { name, key }) ?? '', /no plain name/);
    });
  }

  test('by a link of a file', async (t) => {
    const folder = await directory(t);
    await symlink('../../private', path.join(folder, 'team-keys/link'));
    const reference = { name: 'team-keys', key: 'link' };
    await refuses(folder, /leads out of the directory/, reference);
    assert.match(trouble(folder, reference) ?? '', /leads out of the directory/);
  });

  test('by a link of a folder', async (t) => {
    const folder = await directory(t);
    await symlink('..', path.join(folder, 'link'));
    await refuses(folder, /leads out of the directory/, { name: 'link', key: 'private' });
  });

  test('by a folder whose name begins as that of the directory', async (t) => {
    const folder = await directory(t);
    await mkdir(`${folder}-other`);
    await writeFile(`${folder}-other/openai`, value);
    await symlink(`${folder}-other`, path.join(folder, 'other'));
    await refuses(folder, /leads out of the directory/, { name: 'other', key: 'openai' });
  });
});

describe('what is no secret', () => {
  test('is said with the file to make where there is none', async (t) => {
    const folder = await directory(t);
    const reference = { name: 'team-keys', key: 'missing' };
    await refuses(folder, new RegExp(`${folder}/team-keys/missing can't be read \\(ENOENT\\)`), reference);
    assert.match(trouble(folder, reference) ?? '', /KEY of the policy .*team-keys\/missing.*ENOENT/);
  });

  test('is anything where no directory is configured, or it is not there', async (t) => {
    await refuses(null, /TERMINALS_SECRETS_DIR is not set/);
    assert.match(trouble(null) ?? '', /TERMINALS_SECRETS_DIR is not set/);
    await refuses(`${await directory(t)}-nowhere`, /ENOENT/);
  });

  test('is a folder', async (t) => {
    const folder = await directory(t);
    await mkdir(path.join(folder, 'team-keys/folder'));
    await refuses(folder, /not a file/, { name: 'team-keys', key: 'folder' });
  });

  test('is a pipe, which keeps nobody waiting', async (t) => {
    const folder = await directory(t);
    execFileSync('mkfifo', [path.join(folder, 'team-keys/pipe')]);
    await refuses(folder, /not a file/, { name: 'team-keys', key: 'pipe' });
  });

  test('is larger than any', async (t) =>
    refuses(await directory(t, 'x'.repeat(65_537)), /more than 64 KiB/));
  test('is not text', async (t) =>
    refuses(await directory(t, Buffer.from([0xff, 0xfe])), /not text in UTF-8/));
  test('holds a NUL', async (t) => refuses(await directory(t, `${value}\0`), /holds a NUL/));
});
