import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  declare,
  declareInPlace,
  fingerprintAnnotation,
  type PodSettings,
} from '../../../src/backend/kubernetes/declare.ts';
import { revisionAnnotation } from '../../../src/operator/child-names.ts';
import { operatorDefaults } from '../../../src/operator/defaults.ts';
import { podProblems } from '../../../src/operator/pod.ts';
import { terminal } from '../../operator/fixtures.ts';
import { desired } from '../../terminal/fixtures.ts';

const settings: PodSettings = {
  labels: { team: 'all', site: 'north' },
  nodeSelector: { pool: 'terminals', zone: 'a' },
  tolerations: [{ key: 'terminals', operator: 'Exists' }],
  podSecurityContext: {},
  containerSecurityContext: {},
  restricted: false,
};

const team = { namespace: 'team', orchestrator: 'web' };

test('a policy that says nothing of its Pod has what the configuration says, and its revision', () => {
  const wanted = desired();
  const { spec } = declare(wanted, settings, team);
  assert.deepEqual(spec.secretEnv, {});
  assert.deepEqual(spec.podTemplate, {
    metadata: { labels: settings.labels, annotations: { [revisionAnnotation]: wanted.revision } },
    spec: { nodeSelector: settings.nodeSelector, tolerations: settings.tolerations },
  });
});

test('secrets go along as references, and what the policy says of its Pod is laid over the configuration', () => {
  const secretEnv = { OPENAI_API_KEY: { name: 'team-keys', key: 'openai' } };
  const wanted = desired({
    secretEnv,
    podTemplate: {
      metadata: { labels: { team: 'data' }, annotations: { note: 'hello', [revisionAnnotation]: 'forged' } },
      spec: {
        nodeSelector: { pool: 'gpu' },
        tolerations: [{ key: 'gpu', operator: 'Exists' }],
        runtimeClassName: 'nvidia',
        containers: [{ name: 'terminal', resources: { limits: { 'nvidia.com/gpu': '1' } } }],
      },
    },
  });
  const declared = declare(wanted, settings, team);
  assert.deepEqual(declared.spec, {
    userId: 'alice',
    policyId: 'default',
    image: 'open-terminal:1',
    packages: [],
    pipPackages: [],
    env: {},
    secretEnv,
    restricted: false,
    podTemplate: {
      metadata: {
        labels: { team: 'data', site: 'north' },
        annotations: { note: 'hello', [revisionAnnotation]: wanted.revision },
      },
      spec: {
        nodeSelector: { pool: 'gpu', zone: 'a' },
        tolerations: [{ key: 'gpu', operator: 'Exists' }],
        runtimeClassName: 'nvidia',
        containers: [{ name: 'terminal', resources: { limits: { 'nvidia.com/gpu': '1' } } }],
      },
    },
    resources: { limits: { cpu: '1', memory: '1Gi' } },
    idleTimeoutMinutes: 30,
    suspend: false,
    persistence: { enabled: true },
  });
  assert.equal(
    JSON.parse(declared.metadata.annotations[fingerprintAnnotation] ?? '')['secretEnv.OPENAI_API_KEY'],
    'team-keys/openai',
  );
  assert.deepEqual(podProblems(terminal({ spec: declared.spec }), operatorDefaults), []);
});

test('a field that the policy takes away from the Pod is told to the operator as such', () => {
  const wanted = desired({
    podTemplate: { spec: { tolerations: null, terminationGracePeriodSeconds: null } },
  });
  const { podTemplate } = declare(wanted, settings, team).spec as { podTemplate: { spec: object } };
  assert.deepEqual(podTemplate.spec, {
    nodeSelector: settings.nodeSelector,
    tolerations: null,
    terminationGracePeriodSeconds: null,
  });
});

test('a workload that waits for its time is kept whole, also what the new one leaves out', () => {
  const secretEnv = { KEY: { name: 'team-keys', key: 'openai' } };
  const podTemplate = { spec: { runtimeClassName: 'gvisor' } };
  const before = desired({ secretEnv, podTemplate, egress: { allowedDomains: ['example.org'] } });
  const own = {
    podSecurityContext: { runAsUser: 1001 },
    containerSecurityContext: { readOnlyRootFilesystem: true },
  };
  const running = declare(before, { ...settings, ...own }, team);
  const after = declare(desired({ image: 'open-terminal:2', idleTimeoutMinutes: 7 }), settings, team);
  const existing = terminal({ spec: running.spec, metadata: running.metadata });
  for (const suspended of [false, true]) {
    const { spec, metadata } = declareInPlace(existing, after, suspended);
    for (const field of [
      ...['image', 'env', 'secretEnv', 'egress', 'podTemplate', 'restricted'],
      ...['podSecurityContext', 'containerSecurityContext'],
    ]) {
      assert.deepEqual(spec[field], running.spec[field], field);
    }
    assert.equal(spec.idleTimeoutMinutes, suspended ? 30 : 7);
    assert.equal(metadata.annotations[revisionAnnotation], before.revision);
  }
});
