/** What the operator's configuration gives the Pods of Terminals that say nothing of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type OperatorDefaults, operatorDefaults } from '../../src/operator/defaults.ts';
import { podOf } from '../../src/operator/pod.ts';
import { terminal } from './fixtures.ts';

const toleration = { key: 'team', operator: 'Exists' };
const defaults: OperatorDefaults = {
  ...operatorDefaults,
  pods: {
    labels: { team: 'ai', tier: 'gold' },
    nodeSelector: { pool: 'terminals' },
    tolerations: [toleration],
    podSecurityContext: { fsGroup: 2000, runAsUser: 2000 },
    containerSecurityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
  },
};

test('a Terminal made by hand gets what the configuration says', () => {
  const { metadata, spec } = podOf(terminal(), defaults, '');
  assert.equal(metadata.labels?.team, 'ai');
  assert.deepEqual(spec?.nodeSelector, { pool: 'terminals' });
  assert.deepEqual(spec?.tolerations, [toleration]);
  assert.deepEqual([spec?.securityContext?.fsGroup, spec?.securityContext?.runAsUser], [2000, 2000]);
  assert.equal(spec?.containers[0]?.securityContext?.readOnlyRootFilesystem, true);
  assert.equal(spec?.containers[0]?.securityContext?.allowPrivilegeEscalation, false);
});

test("the Terminal's own word counts: placement as a whole, labels and contexts field by field", () => {
  const own = terminal({
    spec: {
      podTemplate: {
        metadata: { labels: { tier: 'iron' } },
        spec: { nodeSelector: { disk: 'fast' }, tolerations: [] },
      },
      podSecurityContext: { fsGroup: 3000 },
      containerSecurityContext: { allowPrivilegeEscalation: true },
    },
  });
  const { metadata, spec } = podOf(own, defaults, '');
  assert.deepEqual([metadata.labels?.team, metadata.labels?.tier], ['ai', 'iron']);
  assert.deepEqual(spec?.nodeSelector, { disk: 'fast' });
  assert.deepEqual(spec?.tolerations, []);
  assert.deepEqual([spec?.securityContext?.fsGroup, spec?.securityContext?.runAsUser], [3000, 2000]);
  assert.equal(spec?.containers[0]?.securityContext?.allowPrivilegeEscalation, true);
});

test('labels that tell whose Pod it is are nobody else’s to give, and another default replaces no Pod', () => {
  const pods = {
    ...defaults.pods,
    labels: { 'openwebui.com/policy': 'other', 'openwebui.com/revision': 'x' },
  };
  const plain = podOf(terminal(), operatorDefaults, '').metadata.labels;
  assert.deepEqual(podOf(terminal(), { ...defaults, pods }, '').metadata.labels, plain);
});

test('restricted takes from the configuration what Pod Security "restricted" forbids', () => {
  const unconfined = { type: 'Unconfined' };
  const pods = {
    ...defaults.pods,
    podSecurityContext: { seccompProfile: unconfined, appArmorProfile: unconfined, runAsUser: 0 },
    containerSecurityContext: {
      procMount: 'Unmasked',
      appArmorProfile: unconfined,
      capabilities: { add: ['SYS_ADMIN'] },
    },
  };
  const resource = terminal({ spec: { restricted: true } });
  const { spec } = podOf(resource, { ...defaults, pods }, '');
  assert.equal(spec?.securityContext?.runAsUser, 1000);
  assert.deepEqual(spec?.securityContext?.seccompProfile, { type: 'RuntimeDefault' });
  assert.equal(spec?.securityContext?.appArmorProfile, undefined);
  const [container] = spec?.containers ?? [];
  assert.deepEqual(container?.securityContext, {
    privileged: false,
    runAsNonRoot: true,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
  });
  const profile = { type: 'Localhost', localhostProfile: 'terminals' };
  const confined = terminal({
    spec: { restricted: true, containerSecurityContext: { appArmorProfile: profile } },
  });
  const own = podOf(confined, { ...defaults, pods }, '').spec?.containers[0]?.securityContext;
  assert.deepEqual(own?.appArmorProfile, profile);
});
