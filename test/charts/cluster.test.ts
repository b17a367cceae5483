/** The chart against a real API server. No Pod starts: what matters here is what the server accepts and keeps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { call, chart, inNamespace, template, withoutCluster } from './helm.ts';

const skip = await withoutCluster();
const timeout = 60_000;
const still = { crd: { install: false }, operator: { replicaCount: 0 }, orchestrator: { replicaCount: 0 } };

async function must(program: string, args: readonly string[], input = ''): Promise<string> {
  const { ok, out, err } = await call(program, args, input);
  assert.ok(ok, `${program} ${args.join(' ')}: ${err}`);
  return out;
}

async function helm(
  verb: string,
  namespace: string,
  values: object,
  ...more: readonly string[]
): Promise<string> {
  return must(
    'helm',
    [verb, 'web', chart, '-n', namespace, '--values', '-', ...more],
    stringify({ ...still, ...values }),
  );
}

async function keyIn(namespace: string, secret = 'web-terminals-api-key'): Promise<string> {
  const data = await must('kubectl', [
    '-n',
    namespace,
    'get',
    'secret',
    secret,
    '-o',
    'jsonpath={.data.api-key}',
  ]);
  return Buffer.from(data, 'base64').toString();
}

test('the API server accepts everything the chart can make, and Pod Security "restricted" warns of nothing', {
  skip,
  timeout,
}, async () => {
  await inNamespace(async (namespace) => {
    const on = { enabled: true };
    const values = { networkPolicy: on, podDisruptionBudget: on, prePull: on, rbac: { clusterWide: true } };
    const { out } = await template({ namespace, values });
    const { ok, err } = await call('kubectl', ['apply', '--dry-run=server', '-n', namespace, '-f', '-'], out);
    assert.ok(ok, err);
    const warnings = err
      .split('\n')
      .filter((line) => line.startsWith('Warning') && !line.includes('last-applied'));
    assert.deepEqual(warnings, []);
  });
});

test('the same check would see a Pod that breaks "restricted"', { skip, timeout }, async () => {
  await inNamespace(async (namespace) => {
    const values = {
      crd: { install: false },
      orchestrator: { containerSecurityContext: { capabilities: null } },
    };
    const { out } = await template({ namespace, values });
    const { err } = await call('kubectl', ['apply', '--dry-run=server', '-n', namespace, '-f', '-'], out);
    assert.match(err, /would violate PodSecurity "restricted/);
  });
});

test('the key made at the first installation stays over upgrades, until another one is set', {
  skip,
  timeout,
}, async () => {
  await inNamespace(async (namespace) => {
    await helm('install', namespace, {});
    const made = await keyIn(namespace);
    assert.match(made, /^[A-Za-z0-9]{48}$/);
    await helm('upgrade', namespace, { policies: { default: {} } });
    assert.equal(await keyIn(namespace), made);
    await helm('upgrade', namespace, { apiKey: 'chosen' });
    assert.equal(await keyIn(namespace), 'chosen');
    await helm('upgrade', namespace, {});
    assert.equal(await keyIn(namespace), 'chosen');
    await must('helm', ['uninstall', 'web', '-n', namespace]);
  });
});

test('two releases have two keys', { skip, timeout }, async () => {
  await inNamespace(async (namespace) => {
    await helm('install', namespace, {});
    await must('helm', ['install', 'lab', chart, '-n', namespace, '--values', '-'], stringify(still));
    assert.notEqual(await keyIn(namespace), await keyIn(namespace, 'lab-terminals-api-key'));
  });
});

test('under its own account, each component can do what it has to and no more', {
  skip,
  timeout,
}, async () => {
  await inNamespace(async (namespace) => {
    await helm('install', namespace, {});
    const can = async (component: string, verb: string, what: string) => {
      const account = `system:serviceaccount:${namespace}:web-terminals-${component}`;
      const args = ['auth', 'can-i', verb, ...what.split(' '), '-n', namespace, '--as', account];
      const { out } = await call('kubectl', args);
      return `${component} ${verb} ${what}: ${out.trim()}`;
    };
    const expected = [
      'operator create pods: yes',
      'operator create secrets: yes',
      'operator delete secrets: no',
      'operator delete persistentvolumeclaims: no',
      'operator patch pods --subresource=resize: yes',
      'operator create terminals.openwebui.com: no',
      'operator create pods --subresource=exec: no',
      'operator get leases/another: no',
      'operator get configmaps: no',
      'orchestrator create terminals.openwebui.com: yes',
      'orchestrator get configmaps/web-terminals-policies: yes',
      'orchestrator get configmaps/another: no',
      'orchestrator create pods: no',
      'orchestrator create secrets: no',
      'orchestrator create pods --subresource=exec: no',
      'orchestrator get leases/web-terminals-operator: no',
    ];
    const actual = await Promise.all(
      expected.map((line) => {
        const [component = '', verb = '', ...what] = (line.split(': ')[0] ?? '').split(' ');
        return can(component, verb, what.join(' '));
      }),
    );
    assert.deepEqual(actual, expected);
    const elsewhere = await call('kubectl', [
      ...['auth', 'can-i', 'list', 'pods', '-n', 'kube-system'],
      ...['--as', `system:serviceaccount:${namespace}:web-terminals-operator`],
    ]);
    assert.equal(elsewhere.out.trim(), 'no');
  });
});

test('a policy edited in the values reaches the ConfigMap in place', { skip, timeout }, async () => {
  await inNamespace(async (namespace) => {
    const uid = [
      '-n',
      namespace,
      'get',
      'configmap',
      'web-terminals-policies',
      '-o',
      'jsonpath={.metadata.uid}',
    ];
    await helm('install', namespace, { policies: { default: { idleTimeoutMinutes: 10 } } });
    const before = await must('kubectl', uid);
    await helm('upgrade', namespace, { policies: { default: { idleTimeoutMinutes: 20 } } });
    assert.equal(await must('kubectl', uid), before);
    const map: { data: Record<string, string> } = parse(
      await must('kubectl', ['-n', namespace, 'get', 'configmap', 'web-terminals-policies', '-o', 'yaml']),
    );
    assert.match(map.data['default.yaml'] ?? '', /idleTimeoutMinutes: 20/);
  });
});
