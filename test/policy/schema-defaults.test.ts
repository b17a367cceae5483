import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkStructure } from '../../src/policy/schema.ts';
import { header, specOf } from './documents.ts';

describe('defaults', () => {
  const everything = {
    priority: 0,
    image: 'ghcr.io/open-webui/open-terminal:latest',
    resources: {
      requests: { cpu: '100m', memory: '256Mi' },
      limits: { cpu: '1', memory: '1Gi', pids: 2048 },
    },
    packages: [],
    pipPackages: [],
    persistence: { enabled: true, size: '1Gi' },
    idleTimeoutMinutes: 30,
    contextRetentionDays: 30,
    env: {},
    secretEnv: {},
    mounts: [],
    rollout: { when: 'idle', idleAfterMinutes: 5, maxUnavailable: '10%', pauseOnFailures: 3 },
    suspend: false,
    warm: 0,
  };

  for (const [what, document] of [
    ['without a spec', header],
    ['with an empty spec', { ...header, spec: {} }],
    ['with a spec of which only the name is written', { ...header, spec: null }],
  ] as const) {
    test(`of every field are filled in ${what}`, () => {
      const checked = checkStructure(document, {});
      assert.deepEqual(checked.ok && checked.document.spec, everything);
    });
  }

  test('are filled in beside what is written, at every depth', () => {
    const { limits, requests } = specOf({ resources: { limits: { memory: '2Gi' } } }).resources;
    assert.deepEqual(
      [limits, requests],
      [{ ...everything.resources.limits, memory: '2Gi' }, everything.resources.requests],
    );
  });

  test('of a mount make it read-only', () => {
    assert.equal(specOf({ mounts: [{ source: '/a', target: '/b' }] }).mounts[0]?.readOnly, true);
  });

  test('of the configuration come before those of the schema, and after what is written', () => {
    const defaults = { image: 'configured:1', idleTimeoutMinutes: 7 };
    assert.equal(specOf({}, defaults).image, 'configured:1');
    assert.equal(specOf({}, defaults).idleTimeoutMinutes, 7);
    assert.equal(specOf({ image: 'written:1', idleTimeoutMinutes: 0 }, defaults).image, 'written:1');
    assert.equal(specOf({ idleTimeoutMinutes: 0 }, defaults).idleTimeoutMinutes, 0);
  });

  test('do not change the document that was handed in', () => {
    const document = { ...header, spec: { mounts: [{ source: '/a', target: '/b' }] } };
    const before = structuredClone(document);
    checkStructure(document, { image: 'b' });
    assert.deepEqual(document, before);
  });

  test('are themselves valid', () => {
    assert.deepEqual(specOf(specOf({})), everything);
  });
});
