import assert from 'node:assert/strict';
import { test } from 'node:test';
import { podProblems } from '../../src/operator/pod.ts';
import { contextProblems, overlay } from '../../src/operator/pod-template.ts';
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
  assert.deepEqual(podProblems(terminal({ spec: { podTemplate } })), [
    'podTemplate.spec.hostNetwork: a terminal may not have the network of the node',
    'podTemplate.spec.volumes[0].hostPath: root is a path of the node (hostPath)',
  ]);
});

test('a privileged security context of the Terminal itself is refused', () => {
  assert.equal(contextProblems({ privileged: true }, 'containerSecurityContext').length, 1);
});
