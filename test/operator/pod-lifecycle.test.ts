/** What becomes of a running Pod where the API server refuses it other CPU or memory; an API server that only answers so. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';
import { KubeClient } from '../../src/kubernetes/client.ts';
import { keyOf } from '../../src/kubernetes/informer.ts';
import { Caches } from '../../src/operator/caches.ts';
import { operatorDefaults } from '../../src/operator/defaults.ts';
import { Children } from '../../src/operator/ensure.ts';
import { podOf } from '../../src/operator/pod.ts';
import { PodLifecycle } from '../../src/operator/pod-lifecycle.ts';
import { quiet } from './cluster.ts';
import { terminal } from './fixtures.ts';

const { signal } = new AbortController();

interface Answer {
  readonly code: number;
  readonly message: string;
}

/** A lifecycle whose API server gives that answer, and what was asked of it. */
async function lifecycleWith(t: TestContext, answer: Answer) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url?.split('?')[0]}`);
    response.writeHead(answer.code, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const config = new KubeConfig();
  const here = { name: 'one', server: `http://127.0.0.1:${port}`, skipTLSVerify: true };
  config.loadFromClusterAndUser(here, { name: 'operator' });
  const client = new KubeClient(config);
  t.after(async () => {
    await client.close();
    server.close();
  });
  const events = { record: () => undefined };
  const caches = new Caches({ client, namespace: undefined, networkPolicies: false, log: quiet });
  const options = { client, caches, defaults: operatorDefaults, events };
  const pods = new PodLifecycle({ ...options, children: new Children(options) });
  return { pods, asked };
}

const resized = terminal({ spec: { resources: { limits: { cpu: '2', memory: '512Mi' } } } });

function runningPod(uid: string) {
  const pod = podOf(terminal(), operatorDefaults, 'hash');
  const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
  return { ...pod, metadata: { ...pod.metadata, uid }, status };
}

const refusals: readonly (readonly [why: string, answer: Answer, said: RegExp])[] = [
  [
    'a cluster before 1.33',
    { code: 404, message: 'the server could not find the requested resource' },
    /Kubernetes 1\.33/,
  ],
  [
    'memory that can not be lowered',
    { code: 422, message: 'Pod "p" is invalid: memory limits cannot be decreased' },
    /memory limits cannot be decreased/,
  ],
  [
    'a right that is missing',
    { code: 403, message: 'pods "p" is forbidden: cannot patch resource "pods/resize"' },
    /cannot patch resource/,
  ],
];

for (const [why, answer, said] of refusals) {
  test(`${why}: the Pod stays as it is, that is said, and the same is asked for once a Pod`, async (t) => {
    const { pods, asked } = await lifecycleWith(t, answer);
    const first = runningPod('one');
    for (let look = 0; look < 3; look += 1) {
      const { pod, state, notes } = await pods.ensure(resized, first, 'hash', signal);
      assert.deepEqual([pod?.metadata.uid, state.phase], ['one', 'Running']);
      assert.match(notes.join(), said);
      assert.match(notes.join(), /the next start brings/);
    }
    const path = `PATCH /api/v1/namespaces/team/pods/${first.metadata.name}/resize`;
    assert.deepEqual(asked, [path]);
    await pods.ensure(resized, runningPod('two'), 'hash', signal);
    assert.deepEqual(asked, [path, path]);
    pods.forget(keyOf(resized));
    await pods.ensure(resized, runningPod('two'), 'hash', signal);
    assert.deepEqual(asked, [path, path, path], 'again where somebody asks for a look');
  });
}

test('a name that is a part of the answer is not taken for a Pod that has gone', async (t) => {
  const { pods } = await lifecycleWith(t, {
    code: 404,
    message: 'the server could not find the requested resource',
  });
  const pod = runningPod('one');
  const named = { ...pod, metadata: { ...pod.metadata, name: 'server' } };
  const { notes } = await pods.ensure(resized, named, 'hash', signal);
  assert.match(notes.join(), /Kubernetes 1\.33/);
});

test('a Pod that nobody can work in yet is made anew, so that a size that lets it start is not waited for', async (t) => {
  const [, answer] = refusals[0] ?? [];
  assert.ok(answer);
  const { pods, asked } = await lifecycleWith(t, answer);
  const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }];
  const pending = { ...runningPod('one'), status: { phase: 'Pending', conditions } };
  const { state } = await pods.ensure(resized, pending, 'hash', signal);
  assert.equal(state.reason, 'Replacing');
  assert.match(asked.at(-1) ?? '', /^DELETE .*\/pods\//);
});

test('a quota that is used up is tried again, since room comes by itself', async (t) => {
  const message = 'pods "p" is forbidden: exceeded quota: q';
  const { pods } = await lifecycleWith(t, { code: 403, message });
  await assert.rejects(pods.ensure(resized, runningPod('one'), 'hash', signal), /exceeded quota/);
});
