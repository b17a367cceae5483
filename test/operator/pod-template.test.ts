import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contextProblems, overlay, podTemplateProblems } from '../../src/operator/pod-template.ts';

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

test('what gives a terminal power over the node or the API server is refused, each with its place', () => {
  const forbidden: readonly (readonly [object, RegExp])[] = [
    [{ hostNetwork: true }, /hostNetwork: .*network of the node/],
    [{ hostPID: true }, /hostPID/],
    [{ serviceAccountName: 'admin' }, /serviceAccountName/],
    [{ automountServiceAccountToken: true }, /automountServiceAccountToken/],
    [{ nodeName: 'node1' }, /nodeName/],
    [{ volumes: [{ name: 'root', hostPath: { path: '/' } }] }, /root is a path of the node/],
    [{ containers: [{ name: 'terminal', securityContext: { privileged: true } }] }, /terminal is privileged/],
    [{ initContainers: [{ name: 'init', securityContext: { privileged: true } }] }, /init is privileged/],
    [{ containers: [{ name: 'helper', ports: [{ hostPort: 80 }] }] }, /helper has a port of the node/],
    [{ containers: [{ name: 'terminal', image: 'other' }] }, /terminal has image/],
  ];
  for (const [spec, message] of forbidden) {
    const problems = podTemplateProblems({ ...spec });
    assert.equal(problems.length, 1, JSON.stringify(spec));
    assert.match(problems[0] ?? '', message);
  }
});

test('a privileged security context of the Terminal itself is refused', () => {
  assert.equal(contextProblems({ privileged: true }, 'containerSecurityContext').length, 1);
});

test('placement, sidecars, volumes and more variables are allowed', () => {
  const spec = {
    nodeSelector: { pool: 'terminals' },
    runtimeClassName: 'gvisor',
    volumes: [{ name: 'cache', emptyDir: {} }],
    containers: [
      { name: 'terminal', volumeMounts: [{ name: 'cache', mountPath: '/cache' }] },
      { name: 'helper', image: 'helper:1' },
    ],
  };
  assert.deepEqual(podTemplateProblems(spec), []);
});
