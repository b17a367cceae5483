import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { adminKey, adminStack, sharedKey } from '../admin/admin.ts';
import { directoryOf, terminalsHere } from './cli.ts';

/** A server of the test's own; says its URL. */
async function serverFor(
  t: TestContext,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(handle);
  t.after(() => server.close().closeAllConnections());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const reconcile = (url: string, env: Record<string, string> = { TERMINALS_ADMIN_KEY: adminKey }, cwd = '/') =>
  terminalsHere(['reconcile', '--server', url], { env, cwd });

test('a reconcile says the revision that is in force', async (t) => {
  const { port, program } = await adminStack(t);
  const { code, out, err } = await reconcile(`http://127.0.0.1:${port}/`);
  assert.deepEqual([code, err], [0, '']);
  assert.equal(
    out,
    `policies at revision ${program.policies.current.revision}; 0 terminals, 0 with work to do\n`,
  );
});

test('the key is the admin key, else the shared key, also from a file', async (t) => {
  const keys: (string | undefined)[] = [];
  const url = await serverFor(t, (request, response) => {
    keys.push(request.headers.authorization);
    response.end(JSON.stringify({ revision: '1', source: null, problems: [], terminals: 0, queued: 0 }));
  });
  const folder = directoryOf({ key: `${adminKey}\n` });
  await reconcile(url, { TERMINALS_ADMIN_KEY: `${adminKey},older`, TERMINALS_API_KEY: sharedKey });
  await reconcile(url, { TERMINALS_API_KEY: sharedKey });
  await reconcile(url, { TERMINALS_ADMIN_KEY_FILE: path.join(folder, 'key'), TERMINALS_API_KEY: sharedKey });
  await reconcile(url, { TERMINALS_ADMIN_KEY_FILE: 'key' }, folder);
  await reconcile(url, {});
  const [admin, shared] = [`Bearer ${adminKey}`, `Bearer ${sharedKey}`];
  assert.deepEqual(keys, [admin, shared, admin, admin, undefined]);
});

test('a refusal is said in the words of the server, and holds no key', async (t) => {
  const { port } = await adminStack(t);
  const wrong = 'a-key-that-is-not-the-one';
  const { code, out, err } = await reconcile(`http://127.0.0.1:${port}`, { TERMINALS_ADMIN_KEY: wrong });
  assert.deepEqual([code, out], [1, '']);
  assert.match(err, /^terminals: .*key.*\n$/);
  assert.ok(!err.includes(wrong), err);
});

for (const [what, answer, words] of [
  [
    'that sends elsewhere is not followed',
    { status: 302, location: 'http://127.0.0.1:9/' },
    /does not answer: .*redirect/,
  ],
  [
    'that is something else is said to be none of ours',
    { status: 200, body: '<html>' },
    /is no server of Terminals/,
  ],
  ['that fails without words is said with its status', { status: 502, body: 'bad' }, /answered 502/],
] as const) {
  test(`a server ${what}`, async (t) => {
    const { status, body = '', location } = { body: '', location: '', ...answer };
    const url = await serverFor(t, (_request, response) => {
      response.writeHead(status, location === '' ? {} : { location }).end(body);
    });
    const { code, err } = await reconcile(url);
    assert.equal(code, 1);
    assert.match(err, words);
    assert.ok(!err.includes(adminKey), err);
  });
}

test('a server that is not there is said with the reason', async () => {
  const { code, err } = await reconcile('http://127.0.0.1:1');
  assert.equal(code, 1);
  assert.match(err, /^terminals: http:\/\/127\.0\.0\.1:1\/ does not answer: .*\.\n$/);
});

test('words of the call that are off are exit code 2', async () => {
  for (const [args, words] of [
    [['reconcile'], /say which server: --server URL/],
    [['reconcile', '--server', 'localhost'], /--server takes a URL/],
    [['reconcile', '--server', 'http://me:secret@localhost'], /--server takes no password/],
    [['retry', '--server', 'http://127.0.0.1:1'], /say which policy/],
    [['policies', '--watch'], /--watch is for a running server/],
  ] as const) {
    const { code, err } = await terminalsHere(args);
    assert.equal(code, 2, args.join(' '));
    assert.match(err, words);
    assert.doesNotMatch(err, /secret/);
  }
});

test('a retry says how far the policy is; one that there is not is exit code 1', async (t) => {
  const { port } = await adminStack(t);
  const env = { TERMINALS_ADMIN_KEY: adminKey };
  const retry = (policy: string) =>
    terminalsHere(['retry', policy, '--server', `http://127.0.0.1:${port}`], { env });
  assert.deepEqual(await retry('default'), {
    code: 0,
    out: 'default: Ready (UpToDate): 0 of 0 terminals as declared\n',
    err: '',
  });
  const { code, err } = await retry('none');
  assert.equal(code, 1);
  assert.match(err, /There is no policy "none"/);
});
