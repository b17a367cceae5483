import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkMeaning, type PolicyBounds } from '../../src/policy/check.ts';
import { specOf } from './documents.ts';
import { policyText, problemsOf, rulesWith, setOf } from './fixtures.ts';

/** Every finding in one line, without what all have in common. */
function said(spec: object, bounds: Partial<PolicyBounds> = {}): readonly string[] {
  const document = { metadata: { name: 'a' }, spec: specOf({ image: 'ours/base', podTemplate: { spec } }) };
  return checkMeaning(document, rulesWith(bounds)).findings.map(({ severity, path, message, hint }) => {
    assert.deepEqual([severity, ...path.slice(0, 3)], ['error', 'spec', 'podTemplate', 'spec']);
    return `${path.slice(3).join('.')}: ${message} (${hint})`;
  });
}

const helper = (fields: object) => ({ containers: [{ name: 'helper', ...fields }] });
const own = (resources: unknown) => ({ containers: [{ name: 'terminal', resources }] });

describe('an image of a podTemplate has to be an allowed one', () => {
  const allowedImages = ['ours/*'];
  const not = '"docker.io/attacker/y" is not an allowed image (TERMINALS_ALLOWED_IMAGES has ours/*)';
  const image = 'docker.io/attacker/y';
  for (const [spec, place] of [
    [helper({ image }), 'containers.0.image'],
    [{ initContainers: [{ name: 'terminal', image }] }, 'initContainers.0.image'],
    [
      { volumes: [{ name: 'a' }, { name: 'tools', image: { reference: image } }] },
      'volumes.1.image.reference',
    ],
  ] as const) {
    test(`at ${place}`, () => {
      assert.deepEqual(said(spec, { allowedImages }), [`${place}: ${not}`]);
      assert.deepEqual(
        said(JSON.parse(JSON.stringify(spec).replace(image, 'ours/y:1')), { allowedImages }),
        [],
      );
      assert.deepEqual(said(spec), [], 'every image is allowed');
    });
  }

  test('and is one at all', () => {
    assert.deepEqual(said(helper({ image: 'ours/../y' })), [
      'containers.0.image: "ours/../y" is not an image reference (write registry/name:tag or registry/name@sha256:…)',
    ]);
  });
});

describe('CPU and memory of the terminal are what `resources` says', () => {
  const hint = "that is not podTemplate's to say (use resources, beside podTemplate)";
  for (const [resources, ...places] of [
    [{ limits: { memory: '512Gi' } }, 'limits.memory'],
    [{ limits: { cpu: 64, memory: null } }, 'limits.cpu', 'limits.memory'],
    [{ requests: { cpu: '1' } }, 'requests.cpu'],
    [{ limits: null }, 'limits'],
  ] as const) {
    test(JSON.stringify(resources), () => {
      const expected = places.map(
        (place) => `containers.0.resources.${place}: terminal has resources.${place}: ${hint}`,
      );
      assert.deepEqual(said(own(resources)), expected);
    });
  }

  test('also where all of it is taken away', () => {
    assert.deepEqual(said(own(null)), [`containers.0.resources: terminal has resources: ${hint}`]);
  });

  test('and of other things a podTemplate says how many it has', () => {
    assert.deepEqual(said(own({ limits: { 'nvidia.com/gpu': 1 }, claims: [{ name: 'a' }] })), []);
  });
});

describe('beside the terminal, everything in its Pod has limits within the bounds', () => {
  const bounds = { maxCpuMillis: 2000, maxMemoryBytes: 2 ** 30 };
  const limited = (limits: object) => helper({ resources: { limits } });

  test('which a limit can be up to', () => {
    assert.deepEqual(said(limited({ cpu: '2', memory: '1Gi' }), bounds), []);
  });

  test('and not above', () => {
    assert.deepEqual(said(limited({ cpu: 3, memory: '2Gi' }), bounds), [
      'containers.0.resources.limits.cpu: 3 is above TERMINALS_MAX_CPU (write at most 2)',
      'containers.0.resources.limits.memory: 2Gi is above TERMINALS_MAX_MEMORY (write at most 1Gi)',
    ]);
  });

  test('and has to be there', () => {
    const spec = { initContainers: [{ name: 'init', resources: { limits: { cpu: '1' } } }] };
    assert.deepEqual(said(spec, bounds), [
      'initContainers.0.resources.limits.memory: init has no memory limit, and TERMINALS_MAX_MEMORY is set (write at most 1Gi)',
    ]);
    assert.deepEqual(said(spec, { maxCpuMillis: 2000 }), []);
  });

  test('and to be a quantity', () => {
    assert.deepEqual(said(limited({ cpu: 'two', memory: '1Gi' }), bounds), [
      'containers.0.resources.limits.cpu: "two" is not a quantity (write cores such as "2" or 500m)',
    ]);
  });

  test('and resources of the whole Pod would go around them', () => {
    const spec = { resources: { limits: { memory: '512Gi' }, requests: { cpu: 64 } } };
    assert.deepEqual(said(spec, { maxMemoryBytes: 2 ** 30 }), [
      "resources.limits.memory: the Pod has resources.limits.memory: that is not podTemplate's to say (use resources, beside podTemplate)",
    ]);
  });

  test('but nothing is asked for where there are none', () => {
    assert.deepEqual(said({ ...helper({}), resources: { limits: { memory: '2Gi' } } }), []);
  });
});

test('a policy says so with file, line and column, at the container where the limit is missing', () => {
  const fields = ['podTemplate:', '  spec:', '    containers:', '    - {name: helper, image: helper:1}'];
  const set = setOf({ 'a.yaml': policyText('a', ...fields) }, null, rulesWith({ maxMemoryBytes: 2 ** 30 }));
  assert.match(
    problemsOf(set).join('\n'),
    /^a\.yaml:9:9: error: spec\.podTemplate\.spec\.containers\[0\]\.resources\.limits\.memory: helper has no/,
  );
});
