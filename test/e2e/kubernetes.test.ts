/**
 * The chart with the built image on a real node, and real Open Terminal Pods. The node has to have the image: it is built
 * and loaded with the command that TERMINALS_TEST_LOAD_IMAGE names (as `kind load docker-image` is one), or it is there
 * already under the name in TERMINALS_TEST_IMAGE.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { call, chart, find, render } from '../charts/helm.ts';
import { withoutNode } from '../engines.ts';
import { asUser, key, waitFor } from './program.ts';

const run = promisify(execFile);
const { TERMINALS_TEST_IMAGE: givenImage, TERMINALS_TEST_LOAD_IMAGE: load } = process.env;
const required = process.env.TERMINALS_TEST_REQUIRE?.includes('kubernetes') === true;
const small = { requests: { cpu: '10m', memory: '64Mi' } };
const timeout = 600_000;
const adminKey = 'key-of-administrators';

async function reasonToSkip(): Promise<string | false> {
  const why = await withoutNode();
  if (why !== false || givenImage || load) return why;
  const missing = 'no image: neither TERMINALS_TEST_LOAD_IMAGE nor TERMINALS_TEST_IMAGE is set';
  if (required) throw new Error(missing);
  return `skipped: ${missing}`;
}

/** The program's image, on the node. */
async function imageOnNode(): Promise<string> {
  if (givenImage) return givenImage;
  const image = 'localhost/terminals-test:latest';
  const env = { ...process.env, DOCKER_BUILDKIT: '0' };
  await run('docker', ['build', '--network', 'host', '--tag', image, '.'], {
    env,
    maxBuffer: 1 << 26,
    timeout,
  });
  const [program = '', ...args] = (load ?? '').split(' ');
  await run(program, [...args, image], { timeout });
  return image;
}

describe('the chart on a real node', { skip: await reasonToSkip(), timeout }, () => {
  const namespace = `e2e-${process.pid}-${Date.now().toString(36)}`;
  let image: string;
  let service: { readonly url: string };
  /** What helm said at the end of the installation. */
  let notes: string;

  async function kubectl(...args: readonly string[]): Promise<string> {
    const { ok, out, err } = await call('kubectl', ['--namespace', namespace, ...args]);
    assert.ok(ok, err);
    return out.trim();
  }

  async function helm(verb: 'install' | 'upgrade', policies: object): Promise<string> {
    const [repository, tag] = [
      image.slice(0, image.lastIndexOf(':')),
      image.slice(image.lastIndexOf(':') + 1),
    ];
    const values = {
      apiKey: key,
      adminKey,
      // It is the whole cluster's, and other tests use it too.
      crd: { install: false },
      operator: { image: { repository, tag } },
      orchestrator: { image: { repository, tag }, replicaCount: 2 },
      policies,
    };
    const args = [verb, 'web', chart, '--namespace', namespace, '--values', '-'];
    const { ok, out, err } = await call('helm', args, stringify(values));
    assert.ok(ok, err);
    return out;
  }

  const policies = {
    default: { resources: small },
    quick: { resources: small, idleTimeoutMinutes: 0.1 },
    edited: { resources: small, rollout: { when: 'now' }, env: { EDITION: 'first' } },
  };

  before(async () => {
    image = await imageOnNode();
    const crd = await readFile('schemas/terminal.crd.yaml', 'utf8');
    const applied = await call('kubectl', ['apply', '--server-side', '--force-conflicts', '-f', '-'], crd);
    assert.ok(applied.ok, applied.err);
    await call('kubectl', ['create', 'namespace', namespace]);
    notes = await helm('install', policies);
    for (const component of ['operator', 'orchestrator'])
      await kubectl('rollout', 'status', `deployment/web-terminals-${component}`, '--timeout=45s');
    const path = '-o=jsonpath={.spec.clusterIP}:{.spec.ports[0].port}';
    service = { url: `http://${await kubectl('get', 'service', 'web-terminals-orchestrator', path)}` };
    await waitFor(
      () =>
        fetch(service.url).then(
          () => true,
          () => undefined,
        ),
      10_000,
    );
  });

  after(async () => {
    await call('helm', ['uninstall', 'web', '--namespace', namespace]);
    await call('kubectl', ['delete', 'namespace', namespace, '--wait=false']);
  });

  const uidOf = (kind: string, name: string) => kubectl('get', kind, name, '-o=jsonpath={.metadata.uid}');

  async function gone(kind: string, name: string): Promise<void> {
    await waitFor(
      async () => (await kubectl('get', kind, name, '--ignore-not-found')) === '' || undefined,
      60_000,
      () => `${kind}/${name}`,
    );
  }

  test('a command of a new user runs in a Pod of their own', async () => {
    const alice = asUser(service, 'alice');
    assert.equal(await alice.execute('hostname; echo kept > ~/file'), 'terminals-default-alice');
    await kubectl('wait', '--for=condition=Ready', 'terminal/terminals-default-alice', '--timeout=10s');
    const [columns = '', row = ''] = (await kubectl('get', 'term', 'terminals-default-alice')).split('\n');
    assert.match(columns, /^NAME +USER +POLICY +PHASE +READY +LAST ACTIVITY +AGE$/);
    // Its last use is written within a minute.
    assert.match(row, /^terminals-default-alice +alice +default +Running +True +(?:\w+ +)?\w+$/);
  });

  test('what helm says at the end leads to the key, the address and the terminals', async () => {
    assert.match(notes, new RegExp(`http://web-terminals-orchestrator\\.${namespace}\\.svc:8080`));
    const commands = notes.split('\n').flatMap((line) => line.match(/^ {2}(kubectl .*)$/)?.[1] ?? []);
    const [secret = '', list = ''] = await Promise.all(
      commands.map(async (command) => (await run('sh', ['-c', command])).stdout),
    );
    assert.equal(secret, key);
    assert.match(list, /^NAME +USER +POLICY/);
    const variable = notes.match(/TERMINAL_SERVER_CONNECTIONS='(.*)'/)?.[1] ?? '';
    const [connection] = JSON.parse(variable);
    assert.equal(connection.url, `http://web-terminals-orchestrator.${namespace}.svc:8080`);
    assert.equal(connection.server_type, 'orchestrator');
  });

  test('process 1 of both components is an init, and none of them is root or writes to its root', async () => {
    for (const component of ['operator', 'orchestrator']) {
      const pod = `deployment/web-terminals-${component}`;
      const script = 'cat /proc/1/comm; id -u; touch /app/x 2>&1 || true';
      const [init, user, written] = (await kubectl('exec', pod, '--', 'sh', '-c', script)).split('\n');
      assert.deepEqual([init, user], ['tini', '1000']);
      assert.match(written ?? '', /Read-only file system/);
    }
  });

  test('the image says what it is', {
    skip: givenImage ? 'the image was made elsewhere' : false,
  }, async () => {
    const format = '{{json .Config.Labels}}';
    const { stdout } = await run('docker', ['image', 'inspect', '--format', format, image]);
    const { version } = JSON.parse(await readFile('package.json', 'utf8'));
    const labels = JSON.parse(stdout);
    assert.equal(labels['org.opencontainers.image.version'], version);
    assert.equal(labels['org.opencontainers.image.licenses'], 'Apache-2.0');
    for (const name of ['title', 'description', 'source', 'revision', 'base.name'])
      assert.ok(labels[`org.opencontainers.image.${name}`], name);
  });

  test('idle, its Pod goes and its files stay; the next request finds them', async () => {
    const bob = asUser(service, 'bob', 'quick');
    await bob.execute('echo kept > ~/file');
    const name = 'terminals-quick-bob';
    const home = await uidOf('pvc', `${name}-home`);
    await gone('pod', name);
    assert.equal(await kubectl('get', 'terminal', name, '-o=jsonpath={.status.phase}'), 'Idle');
    assert.equal(await uidOf('pvc', `${name}-home`), home);
    assert.equal(await bob.execute('cat ~/file'), 'kept');
  });

  test('in use it stays, however short its idle timeout is', async () => {
    const bob = asUser(service, 'bob', 'quick');
    await bob.execute('true');
    const pod = await uidOf('pod', 'terminals-quick-bob');
    const end = Date.now() + 12_000;
    while (Date.now() < end) await bob.execute('sleep 1');
    assert.equal(await uidOf('pod', 'terminals-quick-bob'), pod);
  });

  test('a deleted Pod comes back with the files and the key that were there', async () => {
    const alice = asUser(service, 'alice');
    const before = await uidOf('pod', 'terminals-default-alice');
    const secret = await uidOf('secret', 'terminals-default-alice-key');
    await kubectl('delete', 'pod', 'terminals-default-alice', '--wait=false');
    await waitFor(
      async () =>
        (await kubectl(
          'get',
          'pod',
          'terminals-default-alice',
          '--ignore-not-found',
          '-o=jsonpath={.metadata.uid}',
        )) !== before || undefined,
      30_000,
    );
    assert.equal(await alice.execute('cat ~/file'), 'kept');
    assert.equal(await uidOf('secret', 'terminals-default-alice-key'), secret);
  });

  test('a policy edited in its ConfigMap reaches its terminals, without a restart', async () => {
    const carol = asUser(service, 'carol', 'edited');
    assert.equal(await carol.execute('echo kept > ~/file; echo $EDITION'), 'first');
    const edited = { ...policies.edited, env: { EDITION: 'second' }, idleTimeoutMinutes: 11 };
    const orchestrators = await kubectl(
      'get',
      'pods',
      '-l=app.kubernetes.io/component=orchestrator',
      '-o=name',
    );
    await helm('upgrade', { ...policies, edited });
    await waitFor(
      async () =>
        (await kubectl('get', 'terminal', 'terminals-edited-carol', '-o=jsonpath={.spec.env.EDITION}')) ===
          'second' || undefined,
      10_000,
    );
    assert.equal(await carol.execute('cat ~/file; echo $EDITION'), 'kept\nsecond');
    const touched = '-o=jsonpath={.metadata.generation} {.spec.idleTimeoutMinutes}';
    assert.equal(await kubectl('get', 'terminal', 'terminals-edited-carol', touched), '2 11');
    const now = await kubectl('get', 'pods', '-l=app.kubernetes.io/component=orchestrator', '-o=name');
    assert.equal(now, orchestrators);
  });

  test('50 first requests of 10 users at two replicas make 10 terminals', async () => {
    const ips = '-o=jsonpath={.items[*].status.podIP}';
    const selector = '-l=app.kubernetes.io/component=orchestrator';
    const replicas = (await kubectl('get', 'pods', selector, ips)).split(' ');
    assert.equal(replicas.length, 2);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => {
        const url = `http://${replicas[index % 2]}:8080`;
        return asUser({ url }, `user${index % 10}`).execute('hostname');
      }),
    );
    const names = Array.from({ length: 10 }, (_, index) => `terminals-default-user${index}`);
    assert.deepEqual([...new Set(answers)].sort(), names);
    const pods = await kubectl('get', 'terminals', '-o=jsonpath={.items[*].metadata.name}');
    assert.deepEqual(
      pods
        .split(' ')
        .filter((name) => name.includes('default-user'))
        .sort(),
      names,
    );
  });

  test('Prometheus may read the metrics with what its ServiceMonitor names', async () => {
    const values = { apiKey: key, adminKey, serviceMonitor: { enabled: true } };
    const monitor = find(await render({ values, namespace }), 'ServiceMonitor', 'web-terminals-orchestrator');
    const secret = monitor.get('spec.endpoints.0.authorization.credentials.name');
    const field = monitor.get('spec.endpoints.0.authorization.credentials.key');
    const held = await kubectl('get', 'secret', String(secret), `-o=go-template={{index .data "${field}"}}`);
    const read = async (bearer: string) =>
      (await fetch(`${service.url}/metrics`, { headers: { authorization: `Bearer ${bearer}` } })).status;
    assert.equal(await read(Buffer.from(held, 'base64').toString()), 200);
    assert.notEqual(await read(key), 200);
    await run('helm', ['test', 'web', '--namespace', namespace], { timeout: 60_000 });
  });

  test('an administrator has a home emptied, which stays the same volume', async () => {
    const dora = asUser(service, 'dora');
    await dora.execute('echo x > ~/file; sudo touch ~/of-root');
    const home = await uidOf('pvc', 'terminals-default-dora-home');
    const answer = await fetch(`${service.url}/api/v1/terminals/refresh`, {
      method: 'POST',
      headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ user_id: 'dora', only_idle: false, reset: true }),
    });
    assert.equal(answer.status, 200, await answer.text());
    assert.equal(await dora.execute('ls ~'), '');
    assert.equal(await uidOf('pvc', 'terminals-default-dora-home'), home);
  });

  test('the schedule of a policy empties homes once, also of who is not there', async () => {
    const emil = asUser(service, 'emil', 'quick');
    await emil.execute('echo x > ~/file; echo kept > ~/notes');
    await gone('pod', 'terminals-quick-emil');
    const schedule = `${new Date(Date.now() + 15_000).toISOString().slice(0, 19)}Z`;
    const quick = { ...policies.quick, reset: { schedule, keep: ['notes'] } };
    await helm('upgrade', { ...policies, quick });
    const lastReset = () =>
      kubectl('get', 'terminal', 'terminals-quick-emil', '-o=jsonpath={.status.lastResetAt}');
    await waitFor(async () => (await lastReset()) !== '' || undefined, 60_000);
    assert.equal(await emil.execute('ls ~'), 'notes');
    const first = await lastReset();
    await gone('pod', 'terminals-quick-emil');
    assert.equal(await lastReset(), first);
  });

  test('a deleted Terminal leaves nothing behind', async () => {
    const name = 'terminals-default-alice';
    await kubectl('delete', 'terminal', name);
    for (const [kind, child] of [
      ['pod', name],
      ['service', name],
      ['networkpolicy', name],
      ['secret', `${name}-key`],
      ['pvc', `${name}-home`],
    ] as const)
      await gone(kind, child);
    assert.equal(
      await asUser(service, 'alice').execute('ls ~/file 2>&1 | wc -l; ls ~/file'),
      "1\nls: cannot access '/home/user/file': No such file or directory",
    );
  });

  test('the accounts of the chart may do all that was done: nothing was forbidden', async () => {
    for (const component of ['operator', 'orchestrator']) {
      const log = await kubectl('logs', `-l=app.kubernetes.io/component=${component}`, '--tail=-1');
      assert.ok(log.includes('"level":"info"'));
      // What we refuse somebody ourselves, as metrics without their key, is no matter of these accounts.
      const own = log.split('\n').filter((line) => !line.includes('"path":"/metrics"'));
      assert.doesNotMatch(own.join('\n'), /forbidden|"status":403/i);
      assert.deepEqual(
        log.split('\n').filter((line) => line.includes('"level":"error"')),
        [],
      );
    }
  });
});
