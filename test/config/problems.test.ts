import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatProblem } from '../../src/config.ts';
import { key, mount, problemsOf } from './fixtures.ts';

describe('problems', () => {
  test('are listed all at once, in the order of the table', () => {
    const problems = problemsOf({ TERMINALS_PORT: 'x', TERMINALS_LOG_LEVEL: 'y', TERMINALS_BACKEND: 'z' });
    const names = ['TERMINALS_BACKEND', 'TERMINALS_PORT', 'TERMINALS_LOG_LEVEL', 'TERMINALS_API_KEY'];
    assert.deepEqual(
      problems.map(({ variable }) => variable),
      names,
    );
  });

  test('of one value are listed all at once, each with its place', () => {
    const text = JSON.stringify([mount, { source: 'x', target: '/', readOnly: 1, mode: 'ro' }]);
    const messages = problemsOf({ TERMINALS_API_KEY: key, TERMINALS_DOCKER_MOUNTS: text }).map(
      ({ message }) => message,
    );
    assert.equal(messages.length, 4);
    assert.ok(
      messages.every((message) => message.startsWith('[1]')),
      messages.join('\n'),
    );
  });

  test('are one line each, with what to write', () => {
    const [problem] = problemsOf({ TERMINALS_API_KEY: key, TERMINALS_PORT: 'a\nb' });
    assert.ok(problem);
    assert.equal(
      formatProblem(problem),
      'TERMINALS_PORT="a\\nb": not a port. Write a whole number from 0 (any free port) to 65535, e.g. 3000.',
    );
  });

  test('quote a long value in part', () => {
    const [problem] = problemsOf({ TERMINALS_API_KEY: key, TERMINALS_IMAGE: ` ${'x '.repeat(5_000)}` });
    assert.ok(problem && formatProblem(problem).length < 300);
  });

  test('leave the password of a URL out of what they quote', () => {
    const url = 'https://admin:hunter2@example.org/';
    const [problem] = problemsOf({ TERMINALS_API_KEY: key, TERMINALS_OPEN_WEBUI_URL: url });
    assert.ok(problem);
    assert.doesNotMatch(formatProblem(problem), /hunter2/);
    assert.match(formatProblem(problem), /not the address of a server/);
  });

  test('say what a mistyped word was meant to be', () => {
    const [problem] = problemsOf({ TERMINALS_API_KEY: key, TERMINALS_BACKEND: 'dokcer' });
    assert.match(problem?.hint ?? '', /Did you mean docker\?/);
  });
});
