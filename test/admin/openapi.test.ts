import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import Fastify from 'fastify';
import { type AdminApiOptions, adminApi, adminPrefix } from '../../src/admin/api.ts';
import { policyText } from '../policy/fixtures.ts';
import { adminStack, type JsonAnswer } from './admin.ts';

const files = { 'all.yaml': `${policyText('data')}---\n${policyText('web', 'image: A B')}` };
const methods = ['get', 'post', 'put', 'delete'];

test('the document has the routes that there are, and no other', async (t) => {
  const { call } = await adminStack(t);
  const { json: document } = await call('GET', '/openapi.json');
  const app = Fastify();
  const registered = new Set<string>();
  app.addHook('onRoute', ({ method, url, path }) => {
    for (const each of [method].flat()) if (each !== 'HEAD') registered.add(`${each} ${url ?? path}`);
  });
  // Routes are registered without anything being asked of the parts.
  const parts = { policies: {}, writer: {}, reconciler: {}, backend: {}, version: '1' };
  adminApi(app, parts as unknown as AdminApiOptions);
  await app.ready();
  const described = Object.entries<object>(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map(
      (method) => `${method.toUpperCase()} ${adminPrefix}${path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
    ),
  );
  assert.deepEqual(described.sort(), [...registered].sort());
  assert.ok(described.length >= 14, String(described));
});

test('the document is of the form that it claims', async (t) => {
  const { call } = await adminStack(t);
  const { json: document } = await call('GET', '/openapi.json');
  assert.match(document.openapi, /^3\.1\./);
  const ids = new Set<string>();
  for (const [path, operations] of Object.entries<Record<string, Record<string, unknown>>>(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      assert.ok(methods.includes(method), method);
      const {
        operationId,
        summary,
        parameters = [],
        responses,
      } = operation as {
        operationId: string;
        summary: string;
        parameters?: { name: string; in: string }[];
        responses: object;
      };
      assert.ok(!ids.has(operationId), operationId);
      ids.add(operationId);
      assert.ok(summary.length > 10);
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
      assert.deepEqual(
        parameters.filter((each) => each.in === 'path').map(({ name }) => name),
        inPath,
      );
      for (const status of ['401', '403']) assert.ok(status in responses, operationId + status);
    }
  }
  for (const [, name = ''] of JSON.stringify(document).matchAll(/#\/components\/schemas\/(\w+)/g)) {
    assert.ok(name in document.components.schemas, name);
  }
});

/** Every route once, each by an answer that it succeeds with, and most by one that it fails with. */
const requests: readonly (readonly [method: string, path: string, route: string, body?: unknown])[] = [
  ['GET', '/policies', '/policies'],
  ['POST', '/policies', '/policies', { id: 'new', data: { image: 'new:1', storage: '1Gi' } }],
  ['POST', '/policies', '/policies', { id: 'new' }],
  ['POST', '/policies', '/policies', { id: 'New' }],
  ['GET', '/policies/data', '/policies/{id}'],
  ['GET', '/policies/none', '/policies/{id}'],
  ['PUT', '/policies/data', '/policies/{id}', { image: 'x:1', idle_timeout_minutes: 5 }],
  ['PUT', '/policies/made', '/policies/{id}', { spec: { egress: { allowedDomains: ['*.example.org'] } } }],
  ['PUT', '/policies/data', '/policies/{id}', { image: 'A B' }],
  ['PUT', '/policies/data', '/policies/{id}', { restricted: true }],
  ['DELETE', '/policies/data', '/policies/{id}'],
  ['DELETE', '/policies/default', '/policies/{id}'],
  ['GET', '/policies/new/lifecycle', '/policies/{id}/lifecycle'],
  ['PUT', '/policies/new/lifecycle', '/policies/{id}/lifecycle', {}],
  ['GET', '/status', '/status'],
  ['GET', '/selection?groups=a', '/selection'],
  ['GET', '/selection?policy=none', '/selection'],
  ['GET', '/terminals?limit=1', '/terminals'],
  ['GET', '/terminals?limit=0', '/terminals'],
  ['GET', '/terminals/terminals-default-alice', '/terminals/{name}'],
  ['GET', '/terminals/none', '/terminals/{name}'],
  ['POST', '/terminals/stop', '/terminals/stop', { user_id: 'bob' }],
  ['POST', '/terminals/refresh', '/terminals/refresh', { only_idle: false }],
  ['POST', '/terminals/refresh', '/terminals/refresh', { reset: true }],
  ['GET', '/openapi.json', '/openapi.json'],
  ['GET', '/plan', '/plan'],
  ['POST', '/plan', '/plan', { files: [{ path: 'a.yaml', text: policyText('fresh') }] }],
  ['POST', '/plan', '/plan', { files: [{ path: 'a.yaml' }] }],
  ['POST', '/plan', '/plan', { files: [{ path: 'a.yaml', text: 'kind: [' }] }],
  ['POST', '/reconcile', '/reconcile'],
  ['POST', '/policies/default/retry', '/policies/{id}/retry'],
  ['POST', '/policies/none/retry', '/policies/{id}/retry'],
];

test('every answer is as the document says, on every route', async (t) => {
  const { call, run } = await adminStack(t, { env: { TERMINALS_POLICY_WRITES: 'true' }, files });
  await run('alice');
  await run('alice', 'default', 'chat:1');
  await run('bob');
  const { json: document } = await call('GET', '/openapi.json');
  const ajv = new Ajv2020({ strict: false, allErrors: true, formats: { 'date-time': isTime } });
  ajv.addSchema(document, 'document');
  const tried = new Set<string>();
  for (const [method, path, route, body] of requests) {
    const answer: JsonAnswer = await call(method, path, body);
    const type = String(answer.headers['content-type']).split(';')[0] ?? '';
    const steps = [
      'paths',
      route,
      method.toLowerCase(),
      'responses',
      String(answer.status),
      'content',
      type,
      'schema',
    ];
    const pointer = steps
      .map((step) => step.replaceAll('~', '~0').replaceAll('/', '~1'))
      .map(encodeURIComponent);
    const validate = ajv.getSchema(`document#/${pointer.join('/')}`);
    assert.ok(validate, `${method} ${path}: ${answer.status} ${type} is not described: ${answer.body}`);
    assert.ok(
      validate(answer.json),
      `${method} ${path}: ${JSON.stringify(validate.errors)} in ${answer.body}`,
    );
    if (answer.status < 300) tried.add(`${method.toLowerCase()} ${route}`);
  }
  const all = Object.entries<object>(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method} ${path}`),
  );
  assert.deepEqual([...tried].sort(), all.sort());
});

function isTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text);
}
