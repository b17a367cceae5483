import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operatorDefaults } from '../../src/operator/defaults.ts';
import { podProblems } from '../../src/operator/pod.ts';
import { overlay } from '../../src/operator/pod-template.ts';
import { terminal } from './fixtures.ts';

test('maps are merged, named things by their name, other lists are replaced, null removes', () => {
  const base = {
    tolerations: [{ key: 'a' }],
    priority: 1,
    containers: [{ name: 'terminal', image: 'x', env: [{ name: 'A', value: '1' }] }],
  };
  const over = {
    tolerations: [{ key: 'b' }],
    priority: null,
    containers: [
      { name: 'helper', image: 'y' },
      { name: 'terminal', env: [{ name: 'B', value: '2' }] },
    ],
  };
  assert.deepEqual(overlay(base, over), {
    tolerations: [{ key: 'b' }],
    containers: [
      {
        name: 'terminal',
        image: 'x',
        env: [
          { name: 'A', value: '1' },
          { name: 'B', value: '2' },
        ],
      },
      { name: 'helper', image: 'y' },
    ],
  });
});

test('a variable is taken whole from podTemplate, wherever its value came from', () => {
  const valueFrom = { secretKeyRef: { name: 'a', key: 'b' } };
  const base = {
    env: [
      { name: 'A', valueFrom },
      { name: 'B', value: '1' },
    ],
  };
  const over = {
    env: [
      { name: 'A', value: '2' },
      { name: 'B', valueFrom },
    ],
  };
  assert.deepEqual(overlay(base, over), over);
});

test('no Pod is made of a podTemplate that asks for too much, and each place of that is said', () => {
  const podTemplate = { spec: { hostNetwork: true, volumes: [{ name: 'root', hostPath: { path: '/' } }] } };
  assert.deepEqual(podProblems(terminal({ spec: { podTemplate } }), operatorDefaults), [
    'podTemplate.spec.hostNetwork: a terminal may not have the network of the node',
    'podTemplate.spec.volumes[0].hostPath: root is a path of the node (hostPath)',
  ]);
});

test('labels and annotations that Terminals go by are refused, but for what the orchestrator writes', () => {
  const metadata = {
    labels: { team: 'data', 'openwebui.com/team': 'ai', 'openwebui.com/tier': 'gold' },
    annotations: {
      'openwebui.com/workload-revision': 'one',
      'openwebui.com/reset-requested-at': '2026-01-01T00:00:00Z',
    },
  };
  const pods = {
    ...operatorDefaults.pods,
    labels: { 'openwebui.com/team': 'ai', 'openwebui.com/tier': 'iron' },
  };
  const problems = podProblems(terminal({ spec: { podTemplate: { metadata } } }), {
    ...operatorDefaults,
    pods,
  });
  assert.deepEqual(problems, [
    'podTemplate.metadata.labels.openwebui.com/tier: openwebui.com/ is for Terminals alone',
    'podTemplate.metadata.annotations.openwebui.com/reset-requested-at: openwebui.com/ is for Terminals alone',
  ]);
});

const unsafe = {
  privileged: true,
  procMount: 'Unmasked',
  capabilities: { add: ['CHOWN', 'SYS_ADMIN'] },
  appArmorProfile: { type: 'Unconfined' },
};

test('a security context of the Terminal itself may ask for no more than one in podTemplate', () => {
  const spec = {
    containerSecurityContext: unsafe,
    podSecurityContext: { fsGroup: 1, seccompProfile: { type: 'Unconfined' } },
  };
  assert.deepEqual(podProblems(terminal({ spec }), operatorDefaults), [
    'podSecurityContext.seccompProfile.type: a terminal is unconfined',
    'containerSecurityContext.privileged: a terminal is privileged',
    'containerSecurityContext.procMount: a terminal has a procMount of its own',
    'containerSecurityContext.appArmorProfile.type: a terminal is unconfined',
    'containerSecurityContext.capabilities.add[1]: a terminal adds the capability SYS_ADMIN',
  ]);
});

test('what the operator is configured with may be said by a Terminal, exactly so and in that place', () => {
  const pods = { ...operatorDefaults.pods, containerSecurityContext: unsafe };
  const problems = (spec: object) => podProblems(terminal({ spec }), { ...operatorDefaults, pods });
  const { privileged, ...rest } = unsafe;
  const reordered = { runAsUser: 1001, ...rest, privileged };
  assert.deepEqual(problems({ containerSecurityContext: reordered }), []);
  const more = { ...unsafe, capabilities: { add: ['CHOWN', 'SYS_ADMIN', 'NET_RAW'] } };
  assert.deepEqual(problems({ containerSecurityContext: more }), [
    'containerSecurityContext.capabilities.add[1]: a terminal adds the capability SYS_ADMIN',
    'containerSecurityContext.capabilities.add[2]: a terminal adds the capability NET_RAW',
  ]);
  assert.equal(problems({ podSecurityContext: { appArmorProfile: unsafe.appArmorProfile } }).length, 1);
});
