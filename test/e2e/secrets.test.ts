/** A policy's secret through the whole program: it reaches the terminal, and nothing else that anybody can read. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { docker } from '../backend/docker/engine.ts';
import { withoutDocker } from '../engines.ts';
import { policyText } from '../policy/fixtures.ts';
import { asUser, command, key, removeFolder, serve, temporaryFolder, waitFor } from './program.ts';

const value = `sk-${randomUUID()}`;
const policy = (...more: readonly string[]) =>
  policyText('data', 'secretEnv: {OPENAI_API_KEY: {name: team-keys, key: openai}}', ...more);

test('a secret is asked for where it is missing, then is in the terminal, and is shown nowhere', {
  skip: await withoutDocker(),
}, async (t) => {
  const folder = await temporaryFolder();
  const at = (...parts: readonly string[]) => path.join(folder, ...parts);
  await mkdir(at('policies'));
  await mkdir(at('secrets/team-keys'), { recursive: true });
  await writeFile(at('policies/data.yaml'), policy());
  const variables = {
    TERMINALS_BACKEND: 'docker',
    TERMINALS_DATA_DIR: at('data'),
    TERMINALS_POLICIES_DIR: at('policies'),
    TERMINALS_SECRETS_DIR: at('secrets'),
    TERMINALS_AUDIT_LOG: at('audit.log'),
    TERMINALS_LOG_LEVEL: 'trace',
  };
  const program = await serve(variables);
  t.after(async () => {
    await program.stop();
    await command(['delete', '--all', '--yes'], variables);
    await removeFolder(folder);
  });
  const user = randomUUID();
  const alice = asUser(program, user, 'data');
  const file = at('secrets/team-keys/openai');
  const api = async (target: string) => {
    const headers = { authorization: `Bearer ${key}` };
    return (await fetch(`${program.url}${target}`, { headers })).text();
  };

  const refused = await alice.request('/files/list');
  const problem = JSON.parse(await refused.text());
  assert.deepEqual([refused.status, problem.type], [503, 'urn:terminals:problem:secret-missing']);
  for (const part of ['OPENAI_API_KEY', '"data"', file])
    assert.ok(problem.detail.includes(part), problem.detail);
  const { status } = JSON.parse(await api('/api/v1/policies/data'));
  assert.ok(JSON.stringify(status.problems).includes(file), JSON.stringify(status));
  // A policy without its secrets can be connected all the same.
  const connected = async () => (await api('/p/data/openapi.json')).includes('"/execute"') || undefined;
  await waitFor(connected, 60_000, () => program.log());

  await writeFile(file, `${value}\n`);
  assert.equal(await alice.execute('echo $OPENAI_API_KEY'), value);
  assert.deepEqual(JSON.parse(await api('/api/v1/policies/data')).status.problems, []);

  await mkdir(at('edited'));
  await writeFile(at('edited/data.yaml'), policy('env: {A: b}').replace('key: openai', 'key: second'));
  const plan = await command(['plan', at('edited'), '--json'], variables);
  assert.equal(plan.code, 2, plan.err);
  assert.match(plan.out, /"field": "secretEnv.OPENAI_API_KEY"[^}]*team-keys\/openai[^}]*team-keys\/second/);
  const shown: readonly (readonly [string, string])[] = [
    ['plan', plan.out + plan.err],
    ['list', (await command(['list', '--json'], variables)).out],
    ...(await Promise.all(
      ['/api/v1/policies', '/api/v1/status', '/api/v1/terminals', '/api/v1/plan', '/metrics', '/health'].map(
        async (target) => [target, await api(target)] as const,
      ),
    )),
    ['log', program.log()],
    ['audit', await readFile(at('audit.log'), 'utf8')],
    ...(await filesBelow(at('data'))),
  ];
  for (const [what, text] of shown) {
    assert.ok(text.length > 0, what);
    assert.ok(!text.includes(value), what);
  }
  const filters = { label: [`openwebui.com/user-id=${user}`] };
  const [container] = await docker.listContainers({ filters });
  assert.ok(container && !JSON.stringify(container).includes(value));
});

/** Of the program's own, without the homes of users, who may write down what they like. */
async function filesBelow(folder: string): Promise<readonly (readonly [string, string])[]> {
  const own = path.join(folder, '.terminals');
  const entries = await readdir(own, { recursive: true, withFileTypes: true });
  const files = entries
    // A file that is being written has another name in a moment.
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.new'))
    .map(({ parentPath, name }) => path.join(parentPath, name));
  return Promise.all(files.map(async (file) => [file, await readFile(file, 'utf8')] as const));
}
