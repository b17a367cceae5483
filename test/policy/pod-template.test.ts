import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { podMetadataProblems, podTemplateProblems } from '../../src/policy/pod-template.ts';
import { policyText, problemsOf, setOf } from './fixtures.ts';

describe('what gives a terminal power over the node or the API server is refused, at its place', () => {
  const inOwn = (container: object) => ({
    containers: [{ name: 'helper' }, { name: 'terminal', ...container }],
  });
  const refused: readonly (readonly [spec: object, path: string, message: RegExp])[] = [
    [{ hostNetwork: true }, 'hostNetwork', /network of the node/],
    [{ hostPID: true }, 'hostPID', /processes of the node/],
    [{ hostIPC: true }, 'hostIPC', /IPC of the node/],
    [{ serviceAccountName: 'admin' }, 'serviceAccountName', /account at the API server/],
    [{ serviceAccount: 'admin' }, 'serviceAccount', /account at the API server/],
    [{ automountServiceAccountToken: true }, 'automountServiceAccountToken', /account at the API server/],
    [{ nodeName: 'node1' }, 'nodeName', /past the scheduler/],
    [{ restartPolicy: 'Never' }, 'restartPolicy', /restart policy/],
    [{ ephemeralContainers: [] }, 'ephemeralContainers', /ephemeral/],
    [
      { volumes: [{ name: 'a' }, { name: 'root', hostPath: {} }] },
      'volumes.1.hostPath',
      /root is a path of the node/,
    ],
    [
      { volumes: [{ name: 'a', projected: { sources: [{ secret: {} }, { serviceAccountToken: {} }] } }] },
      'volumes.0.projected.sources.1.serviceAccountToken',
      /account at the API server/,
    ],
    [
      { securityContext: { seccompProfile: { type: 'Unconfined' } } },
      'securityContext.seccompProfile.type',
      /unconfined/,
    ],
    [
      inOwn({ securityContext: { privileged: true } }),
      'containers.1.securityContext.privileged',
      /terminal is privileged/,
    ],
    [
      { initContainers: [{ name: 'init', securityContext: { privileged: true } }] },
      'initContainers.0.securityContext.privileged',
      /init is privileged/,
    ],
    [
      inOwn({ securityContext: { capabilities: { add: ['CHOWN', 'SYS_ADMIN'] } } }),
      'containers.1.securityContext.capabilities.add.1',
      /adds the capability SYS_ADMIN/,
    ],
    [
      inOwn({ securityContext: { procMount: 'Unmasked' } }),
      'containers.1.securityContext.procMount',
      /procMount/,
    ],
    [
      inOwn({ securityContext: { appArmorProfile: { type: 'Unconfined' } } }),
      'containers.1.securityContext.appArmorProfile.type',
      /unconfined/,
    ],
    [
      { containers: [{ name: 'helper', ports: [{ containerPort: 1 }, { hostPort: 80 }] }] },
      'containers.0.ports.1.hostPort',
      /helper has a port of the node/,
    ],
    [{ containers: null }, 'containers', /containers is no list/],
    [{ initContainers: { name: 'x' } }, 'initContainers', /initContainers is no list/],
    [{ volumes: 'home' }, 'volumes', /volumes is no list/],
    [{ containers: [{ name: 'helper' }, null] }, 'containers.1', /it is no map/],
    [
      inOwn({ resources: { requests: { cpu: '0', memory: '1Mi' } } }),
      'containers.1.resources.requests.cpu',
      /"0" is not above 0/,
    ],
    [
      inOwn({ resources: { limits: { memory: 'much' } } }),
      'containers.1.resources.limits.memory',
      /"much" is not a quantity/,
    ],
    [inOwn({ image: 'other' }), 'containers.1.image', /terminal has image/],
    [inOwn({ command: ['sh'] }), 'containers.1.command', /terminal has command/],
    [inOwn({ ports: [] }), 'containers.1.ports', /terminal has ports/],
    [
      inOwn({ env: [{ name: 'A' }, { name: 'OPEN_TERMINAL_API_KEY', value: 'x' }] }),
      'containers.1.env.1.name',
      /OPEN_TERMINAL_API_KEY can't be set here/,
    ],
  ];
  for (const [spec, path, message] of refused) {
    test(path, () => {
      const problems = podTemplateProblems({ ...spec });
      assert.equal(problems.length, 1, JSON.stringify(problems));
      assert.equal(problems[0]?.path.join('.'), path);
      assert.match(problems[0]?.message ?? '', message);
      assert.notEqual(problems[0]?.hint, '');
    });
  }
});

test('labels and annotations that Terminals or the node go by are refused, at their places', () => {
  const appArmor = 'container.apparmor.security.beta.kubernetes.io';
  const metadata = {
    labels: { team: 'data', 'openwebui.com/policy': 'other', 'app.kubernetes.io/name': 'x' },
    annotations: {
      note: 'hello',
      'notopenwebui.com/a': '1',
      'openwebui.com/reset-requested-at': '2026-01-01T00:00:00Z',
      'reconcile.terminals.openwebui.com/requestedAt': 'now',
      [`${appArmor}/terminal`]: 'unconfined',
      [`${appArmor}/helper`]: 'runtime/default',
    },
  };
  assert.deepEqual(
    podMetadataProblems(metadata).map(({ path, message }) => [path.join(' '), message]),
    [
      ['labels openwebui.com/policy', 'openwebui.com/ is for Terminals alone'],
      ['annotations openwebui.com/reset-requested-at', 'openwebui.com/ is for Terminals alone'],
      [
        'annotations reconcile.terminals.openwebui.com/requestedAt',
        'reconcile.terminals.openwebui.com/ is for Terminals alone',
      ],
      [`annotations ${appArmor}/terminal`, 'terminal has another AppArmor profile than runtime/default'],
    ],
  );
  assert.deepEqual(podMetadataProblems(undefined), []);
  assert.deepEqual(podMetadataProblems({ labels: null, annotations: ['a'] }), []);
});

test('placement, sidecars, volumes and more variables are allowed', () => {
  const spec = {
    nodeSelector: { pool: 'terminals' },
    runtimeClassName: 'gvisor',
    securityContext: { runAsUser: 1001, seccompProfile: { type: 'RuntimeDefault' } },
    volumes: [
      { name: 'cache', emptyDir: {} },
      { name: 'keys', projected: { sources: [{ secret: { name: 'a' } }] } },
    ],
    containers: [
      {
        name: 'terminal',
        env: [{ name: 'A', value: '1' }],
        volumeMounts: [{ name: 'cache', mountPath: '/cache' }],
        securityContext: { capabilities: { add: ['NET_BIND_SERVICE'] } },
      },
      { name: 'helper', image: 'helper:1', ports: [{ containerPort: 80 }] },
    ],
  };
  assert.deepEqual(podTemplateProblems(spec), []);
});

test('a request of nothing is anybody’s but the terminal’s own, whose CPU and memory are compared', () => {
  const resources = { requests: { cpu: '0', memory: 0 }, limits: { 'example.org/gpu': '1' } };
  const gpu = { requests: null, limits: { cpu: null, 'example.org/gpu': '0' } };
  const containers = [
    { name: 'helper', resources },
    { name: 'terminal', resources: gpu },
  ];
  assert.deepEqual(podTemplateProblems({ containers }), []);
});

test('what is no map at all breaks nothing', () => {
  const spec = { volumes: [{ projected: 1 }], securityContext: [], containers: [{ ports: 1, env: {} }] };
  assert.deepEqual(podTemplateProblems(spec), []);
  assert.deepEqual(podTemplateProblems({ constructor: 1, toString: 2 }), []);
});

test('a policy says so with file, line and column, and is not in force', () => {
  const fields = [
    'podTemplate:',
    '  metadata:',
    '    annotations: {openwebui.com/reset-requested-at: now}',
    '  spec:',
    '    volumes:',
    '    - {name: root, hostPath: {path: /}}',
    '    hostPID: true',
  ];
  const set = setOf({ 'a.yaml': policyText('a', ...fields) });
  assert.deepEqual(problemsOf(set), [
    'a.yaml:8:55: error: spec.podTemplate.metadata.annotations.openwebui.com/reset-requested-at: openwebui.com/ is for Terminals alone (leave it out)',
    'a.yaml:11:32: error: spec.podTemplate.spec.volumes[0].hostPath: root is a path of the node (hostPath) (leave it out)',
    'a.yaml:12:16: error: spec.podTemplate.spec.hostPID: a terminal may not have the processes of the node (leave it out)',
  ]);
  assert.deepEqual([...set.policies.keys()], ['default']);
});
