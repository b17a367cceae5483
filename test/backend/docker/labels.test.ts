import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { withoutDocker } from '../../engines.ts';
import { docker, never, placeFor, quiet } from './engine.ts';
import { proxyFor } from './engine-proxy.ts';

describe('what a container carries', { skip: await withoutDocker() }, () => {
  test('labels say whose it is, of which policy, context and revision', async (t) => {
    const place = await placeFor(t);
    const desired = place.desired('alice', { idleTimeoutMinutes: 7, env: { TOKEN: 'private' } }, 'chat:12 ü');
    const alice = await place.backend().create(desired, quiet, never);
    const { Labels: found } = (await docker.getContainer(alice.name).inspect()).Config;
    assert.partialDeepStrictEqual(found, {
      'managed-by': 'terminals',
      'app.kubernetes.io/managed-by': 'terminals',
      'app.kubernetes.io/part-of': 'open-terminal',
      'openwebui.com/user-id': 'alice',
      'openwebui.com/policy': place.policy,
      'openwebui.com/context': 'chat:12 ü',
      'openwebui.com/revision': desired.revision,
      'terminals.openwebui.com/idle-timeout-ms': '420000',
    });
    assert.doesNotMatch(JSON.stringify(found), /private/);
    assert.ok(!JSON.stringify(found).includes(alice.apiKey));
  });

  test('a terminal of the default context has no label of one, and its readable name', async (t) => {
    const place = await placeFor(t);
    const alice = await place.backend().create(place.desired('alice'), quiet, never);
    assert.equal(alice.name, `terminals-${place.policy}-alice`);
    const { Config } = await docker.getContainer(alice.name).inspect();
    assert.equal(Config.Labels['openwebui.com/context'], undefined);
    assert.deepEqual(alice.key, place.key('alice'));
  });

  test('two contexts of a user are two containers with two homes and two keys', async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const made = await Promise.all(
      [undefined, 'chat:1', 'automation:1'].map((context) =>
        backend.create(place.desired('alice', {}, context), quiet, never),
      ),
    );
    assert.equal(new Set(made.map(({ name }) => name)).size, 3);
    assert.equal(new Set(made.map(({ apiKey }) => apiKey)).size, 3);
    const sources = made.map(
      async ({ name }) => (await docker.getContainer(name).inspect()).Mounts[0]?.Source,
    );
    assert.equal(new Set(await Promise.all(sources)).size, 3);
  });

  test("the terminal's key and variables are in no URL that is asked of the engine", async (t) => {
    const place = await placeFor(t);
    const proxy = await proxyFor(t);
    const backend = place.backend({ docker: proxy.client });
    const alice = await backend.create(place.desired('alice', { env: { TOKEN: 'private' } }), quiet, never);
    assert.ok(proxy.requests.some((line) => line.startsWith(`POST /containers/create?name=${alice.name}`)));
    assert.ok(alice.apiKey.length >= 43);
    for (const line of proxy.requests) {
      assert.ok(!line.includes(alice.apiKey) && !line.includes('private'), line);
    }
  });
});
