import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BadRequestError } from '../../src/errors.ts';
import { parseTarget, pathOnly } from '../../src/proxy/target.ts';
import { head, RawClient, send, stack } from './stack.ts';

const split: readonly (readonly [url: string, policy: string | null, path: string])[] = [
  ['/', null, '/'],
  ['/execute', null, '/execute'],
  ['/a%2Fb/%zz/../x?q=%20+', null, '/a%2Fb/%zz/../x?q=%20+'],
  ['//host/x', null, '//host/x'],
  ['/?', null, '/?'],
  ['/p', null, '/p'],
  ['/p?x', null, '/p?x'],
  ['/px/y', null, '/px/y'],
  ['/P/default/x', null, '/P/default/x'],
  ['/p/data/execute', 'data', '/execute'],
  ['/p/data/execute?a=/p/b/', 'data', '/execute?a=/p/b/'],
  ['/p/data/', 'data', '/'],
  ['/p/data', 'data', '/'],
  ['/p/data?x=1', 'data', '/?x=1'],
  ['/p/data//x', 'data', '//x'],
  ['/p/data/p/other/x', 'data', '/p/other/x'],
  ['/p/data/../other/x', 'data', '/../other/x'],
  ['/p/d%61ta/%61', 'data', '/%61'],
  ['/p/a%2Fb/x', 'a/b', '/x'],
  ['/p//x', '', '/x'],
  ['/p/', '', '/'],
];
for (const [url, policy, path] of split) {
  test(`${url} is ${path} of ${policy === null ? 'no named policy' : `the policy "${policy}"`}`, () => {
    assert.deepEqual(parseTarget(url), { policy, path });
  });
}

for (const url of ['', '*', 'http://host/x', 'host:443', 'x']) {
  test(`${JSON.stringify(url)} is no target that is served`, () => {
    assert.throws(() => parseTarget(url), BadRequestError);
  });
}

test('a policy that is not valid percent-encoding is a bad request', () => {
  for (const url of ['/p/%zz/x', '/p/%', '/p/%E0%A4%A/x'])
    assert.throws(() => parseTarget(url), BadRequestError, url);
});

test('the path alone has no query', () => {
  assert.deepEqual(['/x', '/x?y', '/x?y?z', '?', ''].map(pathOnly), ['/x', '/x', '/x', '', '']);
});

test('path and query reach the terminal byte for byte', async (t) => {
  const proxy = await stack(t);
  const paths = [
    '/a%2Fb/%zz/../x?q=%20+',
    '/./x/../../y',
    '//double//slash',
    '/x?',
    '/?',
    '/x?a=1?b=2&&=',
    "/;a=b,c:@!$'()*",
    '/%00%0d%0a',
    '/"<>\\^`{|}',
    '/[::1]?[]',
    `/long/${'x'.repeat(8_000)}?${'y'.repeat(4_000)}`,
    '/-/terminal',
    '/api/v2/x',
    '/health/x',
  ];
  for (const path of paths) {
    const { status, body } = await send(proxy, path);
    assert.equal(status, 200, `${path}: ${body}`);
    assert.equal(proxy.upstream.requests.at(-1)?.url, path);
  }
  for (const path of paths.slice(0, 5)) {
    await send(proxy, `/p/default${path}`);
    assert.equal(proxy.upstream.requests.at(-1)?.url, path);
  }
});

test('raw bytes in the path, which are no URL, are refused before anything is made of them', async (t) => {
  const proxy = await stack(t);
  const client = await RawClient.connect(t, proxy);
  client.write(head('GET /\xc3\xa9\xff?\x80 HTTP/1.1', 'Connection: close'));
  await client.untilEnd();
  assert.match(client.received, /^HTTP\/1\.1 400 /);
  assert.match(client.received, /application\/problem\+json/);
  assert.equal(proxy.upstream.requests.length, 0);
});

const refused = [
  'GET http://elsewhere/openapi.json HTTP/1.1',
  'GET http://elsewhere/x HTTP/1.1',
  'GET elsewhere/openapi.json HTTP/1.1',
  'OPTIONS * HTTP/1.1',
  'GET /p/%zz/openapi.json HTTP/1.1',
  'GET /p/%zz/x HTTP/1.1',
];
for (const line of refused) {
  for (const user of ['alice', 'nobody']) {
    test(`${line} in the name of ${user} is a bad request, and the server serves on`, async (t) => {
      const proxy = await stack(t);
      const client = await RawClient.connect(t, proxy);
      if (user === 'alice') client.write(head(line, 'Connection: close'));
      else client.write(`${line}\r\nHost: terminals\r\nAuthorization: Bearer x\r\nConnection: close\r\n\r\n`);
      await client.untilEnd();
      assert.match(client.received, /^HTTP\/1\.1 40[01] /);
      assert.equal((await send(proxy, '/x')).status, 200);
      assert.equal(proxy.upstream.requests.length, 1);
    });
  }
}
