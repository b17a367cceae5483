import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KubeError } from '../../src/kubernetes/kube-error.ts';
import { lacksSubresource, troubleOf } from '../../src/operator/trouble.ts';

test('what a spec breaks is told with what to do, and is not tried again in silence', () => {
  for (const error of [new RangeError('"x" is not a quantity'), new TypeError('x is not iterable')]) {
    const trouble = troubleOf(error);
    assert.equal(trouble?.reason, 'InvalidSpec');
    assert.match(trouble?.message ?? '', /^"?x.* \(correct the spec of the Terminal/);
  }
  assert.equal(troubleOf(new KubeError(409, 'Conflict', 'try again')), null);
});

test('a subresource that is missing is told from an object that is', () => {
  const answer = (message: string) => new KubeError(404, 'NotFound', message);
  assert.equal(lacksSubresource(answer('the server could not find the requested resource'), 'server'), true);
  assert.equal(lacksSubresource(answer('pods "server" not found'), 'server'), false);
});
