/** Two orchestrators that are no replicas of each other, in one namespace: they leave each other's Terminals alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineUnavailableError } from '../../../src/errors.ts';
import { terminals } from '../../../src/operator/terminal-resource.ts';
import { terminalsHere } from '../../command/cli.ts';
import { withoutCluster } from '../../engines.ts';
import { openCluster, until } from '../../operator/cluster.ts';
import { backendOn, keyOf, never, phases, pretendKubelet, running, silent } from './fixtures.ts';

const skip = await withoutCluster();

test("another orchestrator's Terminal is neither listed nor touched, and its namesake is refused", {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const research = backendOn(t, cluster, { orchestrator: 'research' });
  const teaching = backendOn(t, cluster, { orchestrator: 'teaching' });
  cluster.operator();
  pretendKubelet(t, cluster);
  const alice = research.desired('alice');
  await research.backend.create(alice, silent, never);
  await teaching.backend.create(teaching.desired('bob'), silent, never);

  assert.deepEqual(
    (await teaching.backend.list(never)).map(({ key }) => key.user),
    ['bob'],
  );
  assert.deepEqual(phases(teaching.seen, 'alice'), []);
  const other = teaching.desired('alice', { env: { A: 'b' } });
  const refused = (error: unknown) =>
    error instanceof EngineUnavailableError &&
    /terminals-default-alice .*"research"/.test(error.message) &&
    /namespace of its own/.test(error.hint);
  await assert.rejects(teaching.backend.create(other, silent, never), refused);
  await assert.rejects(teaching.backend.remove(other.key, { files: true }, never), refused);
  await teaching.backend.stop(other.key, never);
  await teaching.backend.activity.save(new Map([[other.name, Date.now() + 60_000]]), Date.now(), true);

  const resource = await cluster.get(terminals, alice.name);
  assert.deepEqual([resource?.metadata.generation, resource?.spec.env], [1, {}]);
  assert.equal(resource?.status?.lastActivityAt, undefined);
  running(await research.backend.inspect(alice.key, never));
});

test('a command says whose Terminals it leaves alone, and how to see them', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const research = backendOn(t, cluster, { orchestrator: 'research' });
  cluster.operator();
  pretendKubelet(t, cluster);
  const { name } = await research.backend.create(research.desired('alice'), silent, never);
  const env = {
    ...{ KUBECONFIG: process.env.KUBECONFIG, TERMINALS_BACKEND: 'kubernetes-operator' },
    TERMINALS_KUBERNETES_NAMESPACE: cluster.namespace,
  };
  const others =
    /^warning: .* other orchestrators in this namespace.*: research; set TERMINALS_KUBERNETES_LEASE/m;
  for (const args of [['list'], ['stop', '--all'], ['delete', '--all', '--yes'], ['plan']]) {
    const { code, out, err } = await terminalsHere(args, { env });
    assert.equal(code, 0, err);
    assert.doesNotMatch(out, new RegExp(name));
    assert.match(err, others, args.join(' '));
  }
  const named = await terminalsHere(['stop', name], { env });
  assert.equal(named.code, 2);
  assert.match(named.err, others);
  const seen = await terminalsHere(['list'], { env: { ...env, TERMINALS_KUBERNETES_LEASE: 'research' } });
  assert.match(seen.out, new RegExp(name));
  assert.equal(seen.err, '');
});

test('one from before Terminals were marked is taken over by who starts it first, and is not there for others', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const research = backendOn(t, cluster, { orchestrator: 'research' });
  const teaching = backendOn(t, cluster, { orchestrator: 'teaching' });
  cluster.operator();
  pretendKubelet(t, cluster);
  const alice = research.desired('alice');
  await cluster.terminal(alice.name, { userId: 'alice' });
  for (const { backend } of [research, teaching])
    await until(async () => (await backend.inspect(keyOf('alice'), never)) !== undefined);

  running(await research.backend.create(alice, silent, never));
  await until(async () => (await teaching.backend.inspect(alice.key, never)) === undefined);
  assert.equal(phases(teaching.seen, 'alice').at(-1), 'gone');
});
