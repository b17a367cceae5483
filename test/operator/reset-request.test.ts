import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wanted } from '../../src/operator/idle.ts';
import { keepAnnotation, resetAnnotation, resetRequest } from '../../src/operator/reset-request.ts';
import type { TerminalStatus } from '../../src/operator/terminal-resource.ts';
import { terminal } from './fixtures.ts';

const asked = '2026-01-01T12:00:00.000Z';

function resource(annotations: Record<string, string>, status: TerminalStatus = {}) {
  return terminal({ metadata: { annotations }, status });
}

test('a reset is asked for once by its time, and by a later one again', () => {
  const annotations = {
    [resetAnnotation]: '2026-01-01T13:00:00+01:00',
    [keepAnnotation]: '["notes",".config/git/"]',
  };
  const request = { at: asked, keep: ['notes', '.config/git/'] };
  assert.deepEqual(resetRequest(resource(annotations)), request);
  assert.deepEqual(resetRequest(resource(annotations, { lastResetAt: '2026-01-01T11:59:59.999Z' })), request);
  assert.equal(resetRequest(resource(annotations, { lastResetAt: asked })), null);
  assert.equal(resetRequest(resource({})), null);
  assert.equal(resetRequest(resource({ [resetAnnotation]: 'now' })), null);
});

test('one that a copy of a Terminal brings along is none', () => {
  assert.equal(resetRequest(resource({ [resetAnnotation]: '2026-01-01T09:59:59Z' })), null);
});

test('what is to be kept has to be a list of paths in the home', () => {
  const kept = (text: string) =>
    resetRequest(resource({ [resetAnnotation]: asked, [keepAnnotation]: text }))?.keep;
  assert.deepEqual(kept('[]'), []);
  for (const text of ['notes', '{}', '["/etc"]', '["a/../.."]', '[".."]', '[""]', '["a//b"]', '[1]', '["."]'])
    assert.equal(kept(text), null, text);
});

test('until it is done no Pod is wanted, whoever comes; then who came since gets one', () => {
  const annotations = { [resetAnnotation]: asked };
  const inUse = wanted(resource(annotations, { lastActivityAt: '2026-01-01T12:01:00Z' }), Date.parse(asked));
  assert.deepEqual(
    [inUse.running, inUse.reason, inUse.idleSince],
    [false, 'ResetRequested', '2026-01-01T12:01:00Z'],
  );
  const status = { lastActivityAt: '2026-01-01T12:02:00Z', idleSince: '2026-01-01T12:01:00Z' };
  const waiting = wanted(resource(annotations, status), Date.parse(asked));
  assert.deepEqual([waiting.running, waiting.idleSince], [false, status.idleSince]);
  const after = wanted(resource(annotations, { ...status, lastResetAt: asked }), Date.parse(asked) + 180_000);
  assert.equal(after.running, true);
  const nobody = { ...status, lastActivityAt: status.idleSince, lastResetAt: asked };
  assert.equal(wanted(resource(annotations, nobody), Date.parse(asked) + 180_000).running, false);
});
