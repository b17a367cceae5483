import assert from 'node:assert/strict';
import { cp, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { labelOf } from '../../src/backend/kubernetes/orchestrator-label.ts';
import { chart, environment, find, inDirectory, render, without } from './helm.ts';

const skip = await without('helm');

/** A chart such as Open WebUI's, which has this one below itself under each of the names. */
async function parentWith(names: readonly string[], body: (parent: string) => Promise<void>): Promise<void> {
  const dependencies = names.map((name) => ({
    name: 'terminals',
    version: '>=0.1.0',
    condition: `${name}.enabled`,
    ...(name === 'terminals' ? {} : { alias: name }),
  }));
  const description = { apiVersion: 'v2', name: 'open-webui', version: '1.0.0', dependencies };
  await inDirectory({ 'Chart.yaml': stringify(description), 'values.yaml': '' }, async (parent) => {
    await mkdir(path.join(parent, 'charts'));
    await cp(chart, path.join(parent, 'charts/terminals'), { recursive: true });
    await body(parent);
  });
}

test('below another chart it is off until terminals.enabled says otherwise', { skip }, async () => {
  await parentWith(['terminals'], async (parent) => {
    assert.deepEqual(await render({ chart: parent }), []);
    const objects = await render({ chart: parent, values: { terminals: { enabled: true } } });
    assert.equal(find(objects, 'Service', 'web-terminals-orchestrator').get('spec.ports.0.port'), 8080);
  });
});

test('values of the parent and globals reach it', { skip }, async () => {
  await parentWith(['terminals'], async (parent) => {
    const values = {
      global: { imageRegistry: 'r.example' },
      terminals: { enabled: true, orchestrator: { idleTimeoutMinutes: 5 }, existingSecret: 'own-key' },
    };
    const objects = await render({ chart: parent, values });
    const orchestrator = find(objects, 'Deployment', 'web-terminals-orchestrator');
    assert.equal(environment(orchestrator).TERMINALS_IDLE_TIMEOUT_MINUTES, '5');
    assert.equal(orchestrator.get('spec.template.spec.volumes.0.secret.secretName'), 'own-key');
    assert.ok(!objects.some(({ kind }) => kind === 'Secret'));
  });
});

test('under two aliases it is there twice, and neither takes the other for itself', { skip }, async () => {
  await parentWith(['research', 'teaching'], async (parent) => {
    const values = {
      research: { enabled: true, terminalsNamespace: 'research-terminals' },
      teaching: { enabled: true, terminalsNamespace: 'teaching-terminals', crd: { install: false } },
    };
    const objects = await render({ chart: parent, values });
    const names = objects.map(({ kind, name }) => `${kind}/${name}`);
    assert.deepEqual([...new Set(names)].length, names.length, 'a name is there twice');
    const labels = (alias: string) =>
      JSON.stringify(
        find(objects, 'Deployment', `web-${alias}-orchestrator`).get('spec.selector.matchLabels'),
      );
    assert.notEqual(labels('research'), labels('teaching'));
    for (const alias of ['research', 'teaching']) {
      for (const component of ['operator', 'orchestrator']) {
        const own = environment(find(objects, 'Deployment', `web-${alias}-${component}`));
        assert.equal(own.TERMINALS_KUBERNETES_NAMESPACE, `${alias}-terminals`);
        const role = find(objects, 'Role', `web-${alias}-${component}`);
        assert.equal(role.get('metadata.namespace'), `${alias}-terminals`);
      }
    }
  });
});

test('under two aliases in one namespace each orchestrator marks its own Terminals', { skip }, async () => {
  await parentWith(['research', 'teaching'], async (parent) => {
    const values = { research: { enabled: true }, teaching: { enabled: true, crd: { install: false } } };
    const objects = await render({ chart: parent, values });
    const marks = ['research', 'teaching'].map((alias) => {
      const own = environment(find(objects, 'Deployment', `web-${alias}-orchestrator`));
      return labelOf(String(own.TERMINALS_KUBERNETES_LEASE));
    });
    assert.deepEqual(marks, ['web-research-orchestrator', 'web-teaching-orchestrator']);
  });
});

test('one alias that is off leaves the other on', { skip }, async () => {
  await parentWith(['research', 'teaching'], async (parent) => {
    const objects = await render({ chart: parent, values: { research: { enabled: true } } });
    assert.ok(objects.length > 0);
    assert.ok(!objects.some(({ name }) => name.includes('teaching')));
  });
});
