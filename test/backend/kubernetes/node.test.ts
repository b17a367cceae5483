/** A policy's secret in a real Pod, through the backend and the operator. The image must be on the node. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StartFailedError } from '../../../src/errors.ts';
import { secrets } from '../../../src/kubernetes/objects.ts';
import { terminals } from '../../../src/operator/terminal-resource.ts';
import { withoutNode } from '../../engines.ts';
import { openCluster } from '../../operator/cluster.ts';
import { execute, openTerminal } from '../docker/engine.ts';
import { backendOn, never, silent } from './fixtures.ts';

const skip = await withoutNode();

test('a secret variable has its value in the Pod alone, and a new one at the next start', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const { backend, desired } = backendOn(t, cluster, { anywhere: true });
  cluster.operator();
  const resources = {
    requests: { cpu: '50m', memory: '64Mi' },
    limits: { cpu: '1', memory: '512Mi', pids: 100 },
  };
  const wanted = desired('alice', {
    image: openTerminal,
    resources,
    secretEnv: { OPENAI_API_KEY: { name: 'team-keys', key: 'openai' } },
    podTemplate: { metadata: { labels: { team: 'data' } }, spec: { terminationGracePeriodSeconds: 3 } },
    startTimeoutSeconds: 60,
  });
  await assert.rejects(
    backend.create(wanted, silent, never),
    (error) => error instanceof StartFailedError && /team-keys/.test(error.message),
  );

  await cluster.apply(secrets, 'team-keys', { stringData: { openai: 'secret-one' } });
  // The kubelet looks for it again by itself.
  await cluster.status(wanted.name, ({ phase }) => phase === 'Running', 60_000);
  const alice = await backend.create(wanted, silent, never);
  assert.equal(await execute(alice, 'echo $OPENAI_API_KEY'), 'secret-one');
  const pod = await cluster.pod(wanted.name);
  assert.equal(pod.metadata.labels?.team, 'data');
  assert.equal(pod.spec?.terminationGracePeriodSeconds, 3);
  for (const object of [pod, await cluster.get(terminals, wanted.name)]) {
    assert.doesNotMatch(JSON.stringify(object), /secret-one/);
  }

  await cluster.apply(secrets, 'team-keys', { stringData: { openai: 'secret-two' } });
  assert.equal(
    await execute(await backend.start(wanted, silent, never), 'echo $OPENAI_API_KEY'),
    'secret-one',
  );
  await backend.stop(wanted.key, never);
  assert.equal(
    await execute(await backend.start(wanted, silent, never), 'echo $OPENAI_API_KEY'),
    'secret-two',
  );
});
