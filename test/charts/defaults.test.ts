import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parse } from 'yaml';
import { at, paths } from '../../charts/generate.ts';
import { call, chart, environment, find, list, render, without } from './helm.ts';

const skip = await without('helm');

test('the keys that installations know have the defaults that they know', async () => {
  const values: unknown = parse(await readFile(paths.values, 'utf8'));
  const expected = {
    enabled: false,
    apiKey: '',
    existingSecret: '',
    'crd.install': true,
    'operator.image.repository': 'ghcr.io/open-webui/terminals-operator',
    'operator.image.tag': 'latest',
    'operator.replicaCount': 1,
    'orchestrator.image.repository': 'ghcr.io/open-webui/terminals',
    'orchestrator.image.tag': 'latest',
    'orchestrator.backend': 'kubernetes-operator',
    'orchestrator.terminalImage': 'ghcr.io/open-webui/open-terminal:latest',
    'orchestrator.idleTimeoutMinutes': 30,
    'orchestrator.service.type': 'ClusterIP',
    'orchestrator.service.port': 8080,
  };
  const actual = Object.fromEntries(Object.keys(expected).map((key) => [key, at(values, key.split('.'))]));
  assert.deepEqual(actual, expected);
});

test('helm lint has nothing to say', { skip }, async () => {
  const { ok, out, err } = await call('helm', ['lint', '--strict', chart]);
  assert.ok(ok, out + err);
  assert.doesNotMatch(out, /\[(WARNING|ERROR)\]/);
});

test('installed on its own, the chart is on although `enabled` is false', { skip }, async () => {
  const objects = await render();
  const names = objects.map(({ kind, name }) => `${kind}/${name}`).sort();
  assert.deepEqual(names, [
    'ConfigMap/web-terminals-policies',
    'CustomResourceDefinition/terminals.openwebui.com',
    'Deployment/web-terminals-operator',
    'Deployment/web-terminals-orchestrator',
    'Pod/web-terminals-test',
    'Role/web-terminals-operator',
    'Role/web-terminals-orchestrator',
    'RoleBinding/web-terminals-operator',
    'RoleBinding/web-terminals-orchestrator',
    'Secret/web-terminals-api-key',
    'Service/web-terminals-orchestrator',
    'ServiceAccount/web-terminals-operator',
    'ServiceAccount/web-terminals-orchestrator',
  ]);
});

test('the orchestrator is told everything by its environment, and its key by a file that follows the Secret', {
  skip,
}, async () => {
  const orchestrator = find(await render(), 'Deployment', 'web-terminals-orchestrator');
  assert.deepEqual(environment(orchestrator), {
    TERMINALS_API_KEY_FILE: '/etc/terminals/keys/api-key',
    TERMINALS_BACKEND: 'kubernetes-operator',
    TERMINALS_PORT: '8080',
    TERMINALS_IMAGE: 'ghcr.io/open-webui/open-terminal:latest',
    TERMINALS_IDLE_TIMEOUT_MINUTES: '30',
    TERMINALS_LOG_LEVEL: 'info',
    TERMINALS_POLICIES_DIR: '',
    TERMINALS_POLICIES_CONFIGMAP: 'web-terminals-policies',
    TERMINALS_KUBERNETES_ADDRESS: 'pod',
    TERMINALS_KUBERNETES_LEASE: 'web-terminals-orchestrator',
    TERMINALS_KUBERNETES_NAMESPACE: 'ai',
  });
  const [mounted] = list(orchestrator.get('spec.template.spec.containers.0.volumeMounts'));
  assert.deepEqual(mounted, { name: 'keys', mountPath: '/etc/terminals/keys', readOnly: true });
  assert.deepEqual(list(orchestrator.get('spec.template.spec.volumes'))[0], {
    name: 'keys',
    secret: { secretName: 'web-terminals-api-key', items: [{ key: 'api-key', path: 'api-key' }] },
  });
  assert.deepEqual(orchestrator.get('spec.template.spec.containers.0.args'), ['serve']);
});

for (const [what, values, secret, field] of [
  ['nothing is set', {}, 'web-terminals-api-key', 'api-key'],
  ['adminKey is set', { adminKey: 'of-admins' }, 'web-terminals-api-key', 'admin-key'],
  ['a Secret of others has only the key', { existingSecret: 'own', adminKey: 'unused' }, 'own', 'api-key'],
  ['a Secret of others has both keys', { existingSecret: 'own', existingAdminKey: true }, 'own', 'admin-key'],
  ['existingAdminKey is of no Secret', { existingAdminKey: true }, 'web-terminals-api-key', 'api-key'],
] as const) {
  test(`where ${what}, Prometheus and helm test send ${field}, and the orchestrator takes it`, {
    skip,
  }, async () => {
    const objects = await render({ values: { ...values, serviceMonitor: { enabled: true } } });
    const monitor = find(objects, 'ServiceMonitor', 'web-terminals-orchestrator');
    const expected = { name: secret, key: field };
    assert.deepEqual(monitor.get('spec.endpoints.0.authorization.credentials'), expected);
    const tested = list(find(objects, 'Pod', 'web-terminals-test').get('spec.containers.0.env'));
    assert.deepEqual(at(tested.at(-1), ['valueFrom', 'secretKeyRef']), expected);
    const deployment = find(objects, 'Deployment', 'web-terminals-orchestrator');
    const fields = [...new Set(['api-key', field])];
    const variables = environment(deployment);
    assert.deepEqual(
      [variables.TERMINALS_API_KEY_FILE, variables.TERMINALS_ADMIN_KEY_FILE],
      [0, 1].map((index) => fields[index] && `/etc/terminals/keys/${fields[index]}`),
    );
    assert.deepEqual(deployment.get('spec.template.spec.volumes.0.secret'), {
      secretName: secret,
      items: fields.map((key) => ({ key, path: key })),
    });
    const made = objects.find(({ kind }) => kind === 'Secret')?.get('data.admin-key');
    assert.equal(made, 'adminKey' in values && secret !== 'own' ? btoa('of-admins') : undefined);
  });
}

test('the operator is told where its Lease is, and little else', { skip }, async () => {
  const operator = find(await render(), 'Deployment', 'web-terminals-operator');
  assert.deepEqual(environment(operator), {
    TERMINALS_LOG_LEVEL: 'info',
    TERMINALS_OPERATOR_LEADER_ELECTION: 'true',
    TERMINALS_OPERATOR_LEASE: 'web-terminals-operator',
    TERMINALS_KUBERNETES_NAMESPACE: 'ai',
  });
  assert.deepEqual(operator.get('spec.template.spec.containers.0.args'), ['operator']);
});

test('both components use the image that is named, by digest where there is one', { skip }, async () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const objects = await render({
    values: {
      operator: { image: { repository: 'r.example/t', tag: '1.2' } },
      orchestrator: { image: { digest } },
    },
  });
  const image = (name: string) =>
    find(objects, 'Deployment', name).get('spec.template.spec.containers.0.image');
  assert.equal(image('web-terminals-operator'), 'r.example/t:1.2');
  assert.equal(image('web-terminals-orchestrator'), `ghcr.io/open-webui/terminals@${digest}`);
});

test('what terminals are made of by default reaches both components as the programs read it', {
  skip,
}, async () => {
  const objects = await render({
    values: {
      terminalDefaults: {
        persistence: { enabled: false, size: '5Gi', storageClass: 'fast' },
        restricted: true,
        labels: { team: 'ai' },
        tolerations: [{ key: 'gpu', operator: 'Exists' }],
        containerSecurityContext: { runAsUser: 1000 },
      },
    },
  });
  const shared = {
    TERMINALS_KUBERNETES_STORAGE_CLASS: 'fast',
    TERMINALS_KUBERNETES_RESTRICTED: 'true',
    TERMINALS_KUBERNETES_LABELS: '{"team":"ai"}',
    TERMINALS_KUBERNETES_TOLERATIONS: '[{"key":"gpu","operator":"Exists"}]',
    TERMINALS_KUBERNETES_CONTAINER_SECURITY_CONTEXT: '{"runAsUser":1000}',
  };
  for (const component of ['operator', 'orchestrator']) {
    const variables = environment(find(objects, 'Deployment', `web-terminals-${component}`));
    assert.deepEqual({ ...variables, ...shared }, variables, component);
  }
  const definition = find(objects, 'CustomResourceDefinition', 'terminals.openwebui.com');
  const persistence = 'spec.versions.0.schema.openAPIV3Schema.properties.spec.properties.persistence';
  assert.equal(definition.get(`${persistence}.default.size`), '5Gi');
  assert.equal(definition.get(`${persistence}.default.enabled`), false);
  assert.equal(definition.get(`${persistence}.properties.size.default`), '5Gi');
  assert.equal(definition.get(`${persistence}.properties.storageClass.default`), 'fast');
  const spec = 'spec.versions.0.schema.openAPIV3Schema.properties.spec.properties';
  assert.equal(definition.get(`${spec}.restricted.default`), true);
});

test('another backend needs neither operator nor rights', { skip }, async () => {
  const objects = await render({ values: { orchestrator: { backend: 'process' } } });
  const kinds = new Set(objects.map(({ kind }) => kind));
  assert.ok(!kinds.has('Role') && !kinds.has('RoleBinding'));
  assert.deepEqual(
    objects.filter(({ kind }) => kind === 'Deployment').map(({ name }) => name),
    ['web-terminals-orchestrator'],
  );
  const orchestrator = find(objects, 'Deployment', 'web-terminals-orchestrator');
  assert.equal(orchestrator.get('spec.template.spec.automountServiceAccountToken'), false);
});

test('a constraint on how Pods spread is about the Pods of its own component', { skip }, async () => {
  const spread = [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway' }];
  const objects = await render({ values: { orchestrator: { topologySpreadConstraints: spread } } });
  const orchestrator = find(objects, 'Deployment', 'web-terminals-orchestrator');
  const selector = orchestrator.get('spec.template.spec.topologySpreadConstraints.0.labelSelector');
  assert.deepEqual(selector, { matchLabels: orchestrator.get('spec.selector.matchLabels') });
});

test('a long release name makes no name or label that is too long', { skip }, async () => {
  const objects = await render({ release: 'a'.repeat(53), values: { prePull: { enabled: true } } });
  for (const { kind, name } of objects) {
    if (kind !== 'CustomResourceDefinition') assert.ok(name.length <= 63, `${kind}/${name}`);
  }
});
