import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { SignJWT } from 'jose';
import {
  ForbiddenError,
  IdentityUnavailableError,
  TokenRefusedError,
  UnauthenticatedError,
  UserMismatchError,
} from '../../src/errors.ts';
import { OpenWebUiMode, type OpenWebUiOptions } from '../../src/identity/open-webui.ts';
import { OpenWebUiApi } from '../../src/identity/open-webui-api.ts';
import { addUser, credentials, nowSeconds, sent, serve, startOpenWebUi, testClock } from './fixtures.ts';

const minute = 60_000;
const auths = '/api/v1/auths/';

async function setup(t: TestContext, options: Partial<OpenWebUiOptions> & { local?: boolean } = {}) {
  const openWebUi = await startOpenWebUi(t);
  addUser(openWebUi, 'alice', ['data', 'web']);
  const clock = testClock();
  const mode = new OpenWebUiMode({
    api: new OpenWebUiApi({ url: `${openWebUi.url}/`, timeoutMs: 2_000 }),
    secret: options.local ? openWebUi.secret : null,
    ttlMs: minute,
    staleMs: 5 * minute,
    max: 100,
    now: clock.now,
    ...options,
  });
  const identify = async (token: string, userId?: string) =>
    mode.identify(sent(token), credentials({ userId }));
  return { openWebUi, clock, mode, identify };
}

const names = ({ groups }: { groups: readonly { name: string }[] | null }) =>
  groups?.map(({ name }) => name) ?? null;

test('a session token says who calls, and Open WebUI which groups they have', async (t) => {
  const { openWebUi, identify } = await setup(t);
  assert.deepEqual(await identify(await openWebUi.token('alice'), 'alice'), {
    user: 'alice',
    groups: [
      { id: 'id-of-data', name: 'data' },
      { id: 'id-of-web', name: 'web' },
    ],
    admittedBy: 'open-webui',
  });
});

test('X-User-Id may be left out, but not name another', async (t) => {
  const { openWebUi, identify } = await setup(t);
  const token = await openWebUi.token('alice');
  assert.equal((await identify(token)).user, 'alice');
  for (const other of ['bob', 'ALICE', 'alice ', 'alice, bob']) {
    await assert.rejects(identify(token, other), (error) => {
      assert.ok(error instanceof UserMismatchError);
      assert.equal(error.status, 403);
      return true;
    });
  }
});

test('an API key is one as well', async (t) => {
  const { openWebUi, identify } = await setup(t);
  openWebUi.apiKeys.set('sk-alice', 'alice');
  assert.equal((await identify('sk-alice')).user, 'alice');
  await assert.rejects(identify('sk-other'), TokenRefusedError);
});

test('a token is checked once in its time, by whomever and however many', async (t) => {
  const { openWebUi, clock, mode, identify } = await setup(t);
  const token = await openWebUi.token('alice');
  let open = () => {};
  openWebUi.gate = new Promise((resolve) => {
    open = resolve;
  });
  const all = Array.from({ length: 50 }, () => identify(token, 'alice'));
  open();
  await Promise.all(all);
  assert.equal(openWebUi.hits.get(auths), 1);
  assert.equal(openWebUi.hits.get('/api/v1/users/groups'), 1);
  assert.ok(!(mode.identify(sent(token), credentials({})) instanceof Promise), 'answered at once');
  clock.pass(minute + 1);
  await identify(token);
  assert.equal(openWebUi.hits.get(auths), 2);
});

test('a change of groups shows when the token\u2019s time is over', async (t) => {
  const { openWebUi, clock, identify } = await setup(t);
  const token = await openWebUi.token('alice');
  await identify(token);
  addUser(openWebUi, 'alice', ['ml']);
  assert.deepEqual(names(await identify(token)), ['data', 'web']);
  clock.pass(minute + 1);
  assert.deepEqual(names(await identify(token)), ['ml']);
});

test('while Open WebUI is away, known tokens go on for the stale time, and unknown ones get 503', async (t) => {
  const { openWebUi, clock, identify } = await setup(t);
  const token = await openWebUi.token('alice');
  await identify(token);
  const unknown = await openWebUi.token('alice');
  openWebUi.down = true;
  clock.pass(minute + 1);
  assert.deepEqual(names(await identify(token, 'alice')), ['data', 'web']);
  await assert.rejects(identify(token, 'bob'), UserMismatchError);
  await assert.rejects(identify(unknown), (error) => {
    assert.ok(error instanceof IdentityUnavailableError);
    assert.equal(error.status, 503);
    assert.ok(!error.message.includes(unknown));
    return true;
  });
  clock.pass(5 * minute - 10_000);
  assert.equal((await identify(token)).user, 'alice');
  clock.pass(10_000);
  await assert.rejects(identify(token), IdentityUnavailableError);
  openWebUi.down = false;
  assert.equal((await identify(token)).user, 'alice');
});

for (const status of [500, 502, 503, 429, 404, 302]) {
  test(`an answer of ${status} is no verdict on the token`, async (t) => {
    const { openWebUi, clock, identify } = await setup(t);
    const token = await openWebUi.token('alice');
    await identify(token);
    openWebUi.failing = status;
    clock.pass(minute + 1);
    assert.equal((await identify(token)).user, 'alice');
    await assert.rejects(identify(await openWebUi.token('alice')), IdentityUnavailableError);
  });
}

test('a token that Open WebUI refuses is refused, from the end of its time on', async (t) => {
  const { openWebUi, clock, identify } = await setup(t);
  const token = await openWebUi.token('alice');
  await identify(token);
  openWebUi.users.delete('alice');
  clock.pass(minute + 1);
  await assert.rejects(identify(token), (error) => {
    assert.ok(error instanceof TokenRefusedError && error.reason === 'rejected');
    return true;
  });
  openWebUi.down = true;
  await assert.rejects(identify(token), IdentityUnavailableError, 'and is not remembered as a good one');
});

test('an account that waits for approval is kept out', async (t) => {
  const { openWebUi, identify } = await setup(t);
  addUser(openWebUi, 'new', [], 'pending');
  await assert.rejects(identify(await openWebUi.token('new')), ForbiddenError);
});

test('a token past its end is refused without a question, and not kept past it', async (t) => {
  const { openWebUi, clock, identify } = await setup(t);
  await assert.rejects(
    identify(await openWebUi.token('alice', { exp: nowSeconds() - 1 })),
    TokenRefusedError,
  );
  assert.equal(openWebUi.hits.size, 0);
  const token = await openWebUi.token('alice', { exp: nowSeconds() + 10 });
  await identify(token);
  openWebUi.down = true;
  clock.pass(11_000);
  await assert.rejects(identify(token), UnauthenticatedError);
});

test('what can be no token of Open WebUI is not sent there', async (t) => {
  const { openWebUi, mode, identify } = await setup(t);
  const foreign = await new SignJWT({ id: 'alice', iss: 'https://idp.example' })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode('x'.repeat(32)));
  for (const token of ['the-shared-key', 'a.b.c', foreign]) {
    assert.ok(!mode.recognises(sent(token)));
    await assert.rejects(identify(token), TokenRefusedError);
  }
  assert.equal(openWebUi.hits.size, 0);
});

test('an older Open WebUI without a route for a user\u2019s groups is asked for the list', async (t) => {
  const { openWebUi, identify } = await setup(t);
  openWebUi.version = 'older';
  addUser(openWebUi, 'root', ['ops'], 'admin');
  assert.deepEqual(names(await identify(await openWebUi.token('alice'))), ['data', 'web']);
  assert.deepEqual(names(await identify(await openWebUi.token('root'))), ['ops'], 'not everybody\u2019s');
});

test('where the list does not say whose groups they are, they are unknown rather than all', async (t) => {
  const { openWebUi, identify } = await setup(t);
  openWebUi.version = 'without-members';
  addUser(openWebUi, 'root', ['ops'], 'admin');
  const identity = await identify(await openWebUi.token('root'));
  assert.equal(identity.groups, null);
  assert.match(identity.groupsNote ?? '', /does not tell/);
});

test('verified here, a token costs no question but for the groups, and they once in its time', async (t) => {
  const { openWebUi, identify } = await setup(t, { local: true });
  const token = await openWebUi.token('alice');
  for (let index = 0; index < 10; index += 1) await identify(token, 'alice');
  assert.equal(openWebUi.hits.get(auths), undefined);
  assert.equal(openWebUi.hits.get('/api/v1/users/groups'), 1);
  assert.deepEqual(names(await identify(token)), ['data', 'web']);
});

test('verified here, forged tokens are refused without a question', async (t) => {
  const { openWebUi, identify } = await setup(t, { local: true });
  const forge = (secret: string, alg = 'HS256') =>
    new SignJWT({ id: 'alice', exp: nowSeconds() + 60 })
      .setProtectedHeader({ alg })
      .sign(new TextEncoder().encode(secret));
  const none = `${btoa('{"alg":"none"}')}.${btoa(`{"id":"alice","exp":${nowSeconds() + 60}}`)}.`.replaceAll(
    '=',
    '',
  );
  for (const [token, reason] of [
    [await forge('another-secret-that-is-long-enough-for-it'), 'signature'],
    [await openWebUi.token('alice', {}, 'HS512'), 'algorithm'],
    [none, 'algorithm'],
    [await openWebUi.token('', {}), 'claim'],
  ] as const) {
    await assert.rejects(identify(token), (error) => {
      assert.ok(error instanceof TokenRefusedError);
      assert.equal(error.reason, reason);
      return true;
    });
  }
  assert.equal(openWebUi.hits.size, 0);
});

test('verified here, an account that is gone or waits for approval is refused all the same', async (t) => {
  const { openWebUi, identify } = await setup(t, { local: true });
  addUser(openWebUi, 'new', [], 'pending');
  for (const user of ['new', 'nobody']) {
    await assert.rejects(identify(await openWebUi.token(user)), TokenRefusedError);
  }
});

test('a token that never ends, and an API key, are for Open WebUI to judge even where others are verified here', async (t) => {
  const { openWebUi, identify } = await setup(t, { local: true });
  openWebUi.apiKeys.set('sk-alice', 'alice');
  await identify('sk-alice');
  await identify(await openWebUi.endlessToken('alice'));
  assert.equal(openWebUi.hits.get(auths), 2);
});

test('a page that is no Open WebUI does not pass for one', async (t) => {
  const { openWebUi, identify } = await setup(t);
  openWebUi.failing = 200;
  await assert.rejects(identify(await openWebUi.token('alice')), /does not answer as Open WebUI does/);
});

test('a token is not carried on to where an answer redirects', async (t) => {
  const { openWebUi } = await setup(t);
  const token = await openWebUi.token('alice');
  const elsewhere = await serve(t, (_request, response) => response.end('{}'));
  const redirecting = await serve(t, (_request, response) => {
    response.writeHead(302, { location: `${elsewhere.url}/api/v1/auths/` }).end();
  });
  const api = new OpenWebUiApi({ url: redirecting.url });
  await assert.rejects(api.userOf(token), /answers with a redirect/);
  assert.equal(elsewhere.hits.size, 0);
});

test('an Open WebUI that is silent is given up on', async (t) => {
  const { openWebUi } = await setup(t);
  openWebUi.gate = new Promise(() => undefined);
  const api = new OpenWebUiApi({ url: openWebUi.url, timeoutMs: 100 });
  await assert.rejects(api.userOf(await openWebUi.token('alice')), /no answer within 100 ms/);
});

test('questions under way end when the program does', async (t) => {
  const { openWebUi } = await setup(t);
  openWebUi.gate = new Promise(() => undefined);
  const ending = new AbortController();
  const api = new OpenWebUiApi({ url: openWebUi.url, timeoutMs: 30_000, signal: ending.signal });
  const asked = assert.rejects(api.userOf(await openWebUi.token('alice')), IdentityUnavailableError);
  ending.abort();
  await asked;
});
