import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labels, selectorLabels } from '../../src/operator/child-names.ts';
import { operatorDefaults } from '../../src/operator/defaults.ts';
import { podOf } from '../../src/operator/pod.ts';
import { resetOf, resetPodOf } from '../../src/operator/reset-pod.ts';
import { resetAnnotation } from '../../src/operator/reset-request.ts';
import { terminal } from './fixtures.ts';

const at = '2026-01-01T12:00:00.000Z';

function made(spec: object) {
  const resource = terminal({ spec });
  const pod = resetPodOf(resource, operatorDefaults, { at, keep: ["it's"] });
  const [container] = pod.spec?.containers ?? [];
  assert.ok(container);
  return { resource, pod, container };
}

test('it takes the place of the terminal, which no Service or NetworkPolicy finds there', () => {
  const { resource, pod, container } = made({ image: 'open-terminal:1', packages: ['graphviz'] });
  const own = podOf(resource, operatorDefaults, '');
  assert.equal(pod.metadata.name, own.metadata.name);
  assert.deepEqual(pod.metadata.ownerReferences, own.metadata.ownerReferences);
  const found = Object.entries(selectorLabels(resource)).every(
    ([name, value]) => pod.metadata.labels?.[name] === value,
  );
  assert.equal(found, false);
  assert.equal(pod.metadata.labels?.[labels.component], 'terminal');
  assert.equal(container.image, 'open-terminal:1');
  assert.deepEqual(container.volumeMounts, [{ name: 'home', mountPath: '/home/user' }]);
  assert.deepEqual(
    pod.spec?.volumes,
    own.spec?.volumes?.filter(({ name }) => name === 'home'),
  );
  assert.match(container.command?.at(-1) ?? '', /-name 'it'\\''s'/);
  assert.equal(pod.spec?.restartPolicy, 'Never');
  assert.equal(pod.spec?.automountServiceAccountToken, false);
  assert.doesNotMatch(JSON.stringify(pod), /secretKeyRef|OPEN_TERMINAL/);
});

test('what its user made as root it can remove, and nothing else can it do', () => {
  const { pod, container } = made({});
  assert.equal(pod.spec?.securityContext?.runAsUser, 0);
  assert.deepEqual(container.securityContext, {
    runAsNonRoot: false,
    runAsUser: 0,
    privileged: false,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'], add: ['DAC_OVERRIDE', 'FOWNER'] },
  });
});

test('where nobody can become root it is no root either', () => {
  for (const spec of [
    { restricted: true },
    { containerSecurityContext: { allowPrivilegeEscalation: false } },
  ]) {
    const { pod, container } = made(spec);
    assert.equal(pod.spec?.securityContext?.runAsUser, 1000);
    assert.equal(pod.spec?.securityContext?.runAsNonRoot, true);
    assert.equal(container.securityContext?.allowPrivilegeEscalation, false);
    assert.deepEqual(container.securityContext?.capabilities, { drop: ['ALL'] });
  }
});

test('it goes where the terminal goes, without its sidecars, and to the volume that is its home', () => {
  const { pod } = made({
    podTemplate: {
      metadata: { labels: { team: 'data' } },
      spec: {
        nodeSelector: { disk: 'fast' },
        tolerations: [{ key: 'team', operator: 'Exists' }],
        containers: [
          { name: 'terminal', volumeMounts: [{ name: 'shared', mountPath: '/home/user', subPath: 'alice' }] },
          { name: 'sidecar', image: 'sidecar:1' },
        ],
        volumes: [{ name: 'shared', persistentVolumeClaim: { claimName: 'team' } }],
      },
    },
  });
  assert.deepEqual(pod.spec?.nodeSelector, { disk: 'fast' });
  assert.equal(pod.spec?.tolerations?.length, 1);
  assert.equal(pod.spec?.containers.length, 1);
  assert.deepEqual(pod.spec?.containers[0]?.volumeMounts, [
    { name: 'shared', mountPath: '/home/user', subPath: 'alice' },
  ]);
  assert.deepEqual(pod.spec?.volumes, [{ name: 'shared', persistentVolumeClaim: { claimName: 'team' } }]);
});

test('it is told from the terminal’s own Pod by what no podTemplate gives', () => {
  assert.equal(resetOf(made({}).pod), at);
  const metadata = {
    labels: { [labels.name]: 'open-terminal-reset' },
    annotations: { [resetAnnotation]: at },
  };
  const own = podOf(terminal({ spec: { podTemplate: { metadata } } }), operatorDefaults, '');
  assert.equal(own.metadata.annotations?.[resetAnnotation], at);
  assert.equal(resetOf(own), undefined);
});
