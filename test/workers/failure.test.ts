import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as errors from '../../src/errors.ts';
import { problemOf } from '../../src/proxy/problem.ts';
import { errorOf, failureOf } from '../../src/workers/failure.ts';

const hint = 'Do something else.';
const all: readonly errors.TerminalsError[] = [
  new errors.BadRequestError('It is odd.', hint),
  new errors.UserMissingError(),
  new errors.UnauthenticatedError('No key.', hint),
  new errors.UserMismatchError(),
  new errors.UserMismatchError('Two users.', hint),
  new errors.IdentityUnavailableError('It is away.', hint),
  new errors.AuditUnavailableError('It is not written.', hint),
  new errors.ForbiddenError('Not for you.', hint),
  new errors.PolicyUnknownError('data-science'),
  new errors.NotFoundError('It is not there.', hint),
  new errors.ConflictError('It is declared elsewhere.', hint),
  new errors.InvalidPolicyError('It is not valid.', hint),
  new errors.TerminalUnreachableError('It takes no connection.', hint),
  new errors.EngineUnavailableError('Docker does not answer.', hint),
  new errors.OverBudgetError('No room.', hint),
  new errors.ImagePullError('No such image.', hint),
  new errors.StartFailedError('It ended.', hint),
  new errors.StartTimeoutError('It is slow.', hint),
  new errors.SecretMissingError('It has no value.', hint),
  new errors.TerminalPausedError('It is paused.', hint),
  new errors.UpstreamTimeoutError('It did not answer.', hint),
  new errors.ShuttingDownError(),
];

for (const error of all) {
  test(`${error.name} arrives as what it was, and is answered the same`, () => {
    const arrived = errorOf(structuredClone(failureOf(error)));
    assert.equal(Object.getPrototypeOf(arrived), Object.getPrototypeOf(error));
    assert.equal(arrived.stack, error.stack);
    assert.deepEqual(problemOf(arrived, 'r-1'), problemOf(error, 'r-1'));
  });
}

test('what is none of ours arrives as an error with its message and cause, and tells nobody more', () => {
  const error = new TypeError('x is not a function', { cause: new RangeError('out of it') });
  const arrived = errorOf(structuredClone(failureOf(error)));
  assert.ok(!(arrived instanceof errors.TerminalsError));
  assert.equal(arrived.message, 'x is not a function');
  assert.ok(arrived.cause instanceof Error);
  assert.equal(arrived.cause.message, 'out of it');
  assert.equal(problemOf(arrived).status, 500);
});

test('what was thrown without being an error arrives as one', () => {
  assert.equal(errorOf(failureOf('broken')).message, 'broken');
});
