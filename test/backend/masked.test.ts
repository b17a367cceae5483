import assert from 'node:assert/strict';
import { test } from 'node:test';
import { masked } from '../../src/backend/masked.ts';

const lineOf = (line: string, ...secrets: string[]) => masked([line], secrets).join('\n');

test('what looks like a key, a password or a login in an address is masked, whatever its value is', () => {
  for (const [line, shown] of [
    ['api_key=sesame', 'api_key=[secret]'],
    ['API-Key: sesame, and more', 'API-Key: [secret] and more'],
    ['token sesame', 'token [secret]'],
    ['DB_PASSWORD=hunter2', 'DB_PASSWORD=[secret]'],
    ['the passwd: hunter2', 'the passwd: [secret]'],
    ['{"password": "hunter2"}', '{"password": "[secret]'],
    ['client_secret = hunter2', 'client_secret = [secret]'],
    ['AWS_SECRET_ACCESS_KEY=hunter2', 'AWS_SECRET_ACCESS_KEY=[secret]'],
    ['no postgres://app:hunter2@db/x here', 'no postgres://app:[secret]@db/x here'],
    ['redis://:hunt@er2@cache:6379', 'redis://:[secret]@cache:6379'],
    ['https://hunter2@git.example.com/a', 'https://[secret]@git.example.com/a'],
  ] as const) {
    assert.equal(lineOf(line), shown);
    assert.equal(lineOf(shown), shown, 'masked twice, it changed');
  }
});

test('what only speaks of passwords stays as it is, and so do addresses without a login', () => {
  for (const line of [
    'FATAL: password authentication failed for user "app"',
    'the secret is not there',
    'http://localhost:8000/a@b',
    'registry.example.com:5000/team/image@sha256:0123',
  ])
    assert.equal(lineOf(line), line);
});

test('a known value is masked wherever it is: the longest first, and each line of one that has several', () => {
  assert.equal(
    lineOf('could not log in as app/hunter2: hunter2', 'hunter2'),
    'could not log in as app/[secret]: [secret]',
  );
  assert.equal(lineOf('hunter2-long and hunter2', 'hunter2', 'hunter2-long'), '[secret] and [secret]');
  assert.equal(lineOf('said correct horse', 'password=correct horse', 'correct horse'), 'said [secret]');
  const key = '-----BEGIN-----\r\nMIIEvQ\n  AbCd\nxy\n-----END-----\n';
  assert.deepEqual(masked(['-----BEGIN-----', 'got MIIEvQ', 'AbCd', 'xy', key], [key]), [
    '[secret]',
    'got [secret]',
    '[secret]',
    'xy',
    '[secret]\r\n[secret]\n  [secret]\nxy\n[secret]\n',
  ]);
  assert.equal(lineOf('a.c and abc cost $&', 'a.c and', '$& x'), '[secret] abc cost $&');
});

test('a value too short to be told from other text is left to the pattern', () => {
  assert.equal(lineOf('exit code 1, PASSWORD=1', '1', '', 'e'), 'exit code 1, PASSWORD=[secret]');
});

test('a long line takes no longer than its length', () => {
  const began = performance.now();
  for (const part of ['secret', 'token', 'password:', '://', 'secret ', '://a:', '='])
    lineOf(part.repeat(300_000), 'hunter2');
  assert.ok(performance.now() - began < 5_000);
});
