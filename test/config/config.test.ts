import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyed, mount } from './fixtures.ts';

test('a default image that is not allowed is a warning', () => {
  const { warnings } = keyed({ TERMINALS_ALLOWED_IMAGES: 'registry.example.org/*' });
  assert.match(warnings.join(), /TERMINALS_IMAGE .* is none of TERMINALS_ALLOWED_IMAGES/);
});

test('it is known whether image and idle timeout were set', () => {
  const unset = keyed({}).config;
  const set = keyed({ TERMINALS_IMAGE: 'a', TERMINALS_IDLE_TIMEOUT_MINUTES: '0' }).config;
  assert.deepEqual(
    [unset.imageIsSet, unset.idleTimeoutIsSet, set.imageIsSet, set.idleTimeoutIsSet],
    [false, false, true, true],
  );
});

test('a Config is frozen through and through', () => {
  const { config } = keyed({ TERMINALS_DOCKER_MOUNTS: JSON.stringify([mount]) });
  const parts = [config, config.auth, config.networks, config.allowedImages, config.mounts, ...config.mounts];
  assert.ok(parts.every(Object.isFrozen));
});
