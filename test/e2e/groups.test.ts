/** Groups choose the policy: tokens of a real identity provider, real terminals, the whole program. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { WebSocket } from 'ws';
import { withoutDocker } from '../engines.ts';
import { serve as serveHttp } from '../identity/fixtures.ts';
import { accessToken, groupsOf, provider, resource } from '../identity/provider.ts';
import { policyText } from '../policy/fixtures.ts';
import { command, type RunningProgram, removeFolder, serve, temporaryFolder, waitFor } from './program.ts';

const noDocker = await withoutDocker();

/** Two policies of two groups, and a program that takes the provider's tokens. */
async function setup(t: TestContext, extra: Record<string, string> = {}) {
  const folder = await temporaryFolder();
  const policies = path.join(folder, 'policies');
  await mkdir(policies);
  for (const group of ['data', 'web']) {
    await writeFile(
      path.join(policies, `${group}.yaml`),
      policyText(group, `groups: [${group}]`, 'priority: 1', `env: {TEAM: the-${group}-team}`),
    );
  }
  await writeFile(path.join(policies, 'default.yaml'), policyText('default', 'groups: [staff]'));
  let listener: Parameters<typeof serveHttp>[1] = () => undefined;
  const idp = await serveHttp(t, (request, response) => listener(request, response));
  listener = await provider(idp.url, randomUUID());
  const audit = path.join(folder, 'audit.log');
  const variables = {
    TERMINALS_BACKEND: noDocker === false ? 'docker' : 'process',
    TERMINALS_DATA_DIR: path.join(folder, 'data'),
    TERMINALS_POLICIES_DIR: policies,
    TERMINALS_API_KEY: '',
    TERMINALS_OIDC_ISSUER: idp.url,
    TERMINALS_OIDC_AUDIENCE: resource,
    TERMINALS_GROUPS_CLAIM: 'realm_access.roles',
    TERMINALS_AUDIT_LOG: audit,
    ...extra,
  };
  const program = await serve(variables);
  t.after(async () => {
    await program.stop();
    await command(['delete', '--all', '--yes'], { ...variables, TERMINALS_API_KEY: 'any' });
    await removeFolder(folder);
  });
  return { program, audit, tokenOf: (user: string) => accessToken(idp.url, user) };
}

async function execute({ url }: RunningProgram, token: string, text: string): Promise<Response> {
  return fetch(`${url}/execute?wait=20`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'x-user-id': 'an-id-of-open-webui',
      'content-type': 'application/json',
    },
    body: JSON.stringify({ command: text }),
  });
}

async function output(response: Response): Promise<string> {
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const answer = JSON.parse(text) as { output: { data: string }[] };
  return answer.output
    .map(({ data }) => data)
    .join('')
    .trim();
}

test('two users call one URL and get terminals of their groups; a new token moves them', async (t) => {
  const { program, audit, tokenOf } = await setup(t);
  const [alice, bob] = [await tokenOf('alice'), await tokenOf('bob')];
  assert.equal(await output(await execute(program, alice, 'echo $TEAM')), 'the-data-team');
  assert.equal(await output(await execute(program, bob, 'echo $TEAM')), 'the-web-team');

  t.after(() => {
    groupsOf.bob = ['web'];
  });
  groupsOf.bob = ['data'];
  assert.equal(await output(await execute(program, await tokenOf('bob'), 'echo $TEAM')), 'the-data-team');

  groupsOf.bob = ['nobody'];
  const refused = await execute(program, await tokenOf('bob'), 'echo never');
  assert.equal(refused.status, 403);
  const problem = JSON.parse(await refused.text());
  assert.equal(problem.type, 'urn:terminals:problem:forbidden');
  assert.doesNotMatch(problem.detail, /data|web|staff|nobody/);

  const lines = (await readFile(audit, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const admitted = lines.filter(({ event }) => event === 'admitted');
  assert.deepEqual(
    admitted.map(({ user, policy, groups, admittedBy }) => [user, policy, groups, admittedBy]),
    [
      ['alice', 'data', ['data'], 'oidc'],
      ['bob', 'web', ['web'], 'oidc'],
      ['bob', 'data', ['data'], 'oidc'],
    ],
  );
  assert.equal(lines.filter(({ event }) => event === 'create').length, 3);
  assert.equal(lines.filter(({ event, reason }) => event === 'refused' && reason === 'forbidden').length, 1);
  for (const secret of [alice, bob, 'echo']) {
    assert.ok(!lines.some((line) => JSON.stringify(line).includes(secret)));
    assert.ok(!program.log().includes(alice));
  }
});

test('a shell opens with an empty first token for the session that its user just made, once', async (t) => {
  const { program, tokenOf } = await setup(t);
  const token = await tokenOf('alice');
  const headers = { 'x-user-id': 'an-id-of-open-webui' };
  const made = await fetch(`${program.url}/api/terminals`, {
    method: 'POST',
    headers: { ...headers, authorization: `Bearer ${token}` },
  });
  assert.equal(made.status, 200);
  const { id } = JSON.parse(await made.text());
  const url = `${program.url.replace('http', 'ws')}/api/terminals/${id}?user_id=an-id-of-open-webui`;
  const open = async (userId: string) => {
    const socket = new WebSocket(url, { headers: { 'x-user-id': userId } });
    let screen = '';
    let closed: number | null = null;
    socket.on('message', (data) => {
      screen += data.toString();
    });
    socket.on('close', (code) => {
      closed = code;
    });
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    socket.send(JSON.stringify({ type: 'auth', token: '' }));
    socket.send(Buffer.from('echo $TEAM-$((40 + 2))\n'));
    await waitFor(
      () => (closed !== null || screen.includes('the-data-team-42') ? true : undefined),
      15_000,
      () => screen,
    );
    return { socket, closed };
  };
  assert.equal((await open('somebody-else')).closed, 4001);
  const { socket, closed } = await open('an-id-of-open-webui');
  assert.equal(closed, null);
  socket.terminate();
  assert.equal((await open('an-id-of-open-webui')).closed, 4001);
});

test('every refusal of a token says why', async (t) => {
  const { program, tokenOf } = await setup(t, { TERMINALS_OIDC_AUDIENCE: 'somebody-else' });
  const cases: readonly (readonly [token: string, code: string, says: RegExp])[] = [
    [await tokenOf('alice'), 'unauthenticated', /audience|aud/i],
    ['not-a-token', 'unauthenticated', /token/i],
    ['x'.repeat(15_000), 'unauthenticated', /token/i],
  ];
  for (const [token, code, says] of cases) {
    const response = await execute(program, token, 'echo never');
    assert.equal(response.status, 401);
    const problem = JSON.parse(await response.text());
    assert.equal(problem.type, `urn:terminals:problem:${code}`);
    assert.match(problem.detail, says);
  }
});
