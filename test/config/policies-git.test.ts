import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { keyed, problemsOf, root, write } from './fixtures.ts';

const https = 'https://git.example.org/a.git#main:policies';
const file = write('secret', 'x');

describe('policies in Git', () => {
  test('have their files as absolute paths, and are looked at every minute', () => {
    const { config, warnings } = keyed({
      TERMINALS_POLICIES_GIT: https,
      TERMINALS_POLICIES_GIT_TOKEN_FILE: 'secret',
      TERMINALS_POLICIES_GIT_VERIFY: file,
    });
    assert.deepEqual(config.policiesGit, {
      location: { url: 'https://git.example.org/a.git', protocol: 'https', ref: 'main', folder: 'policies' },
      intervalMs: 60_000,
      webhookSecret: null,
      tokenFile: file,
      verifyFile: file,
      sshKeyFile: null,
    });
    assert.deepEqual(warnings, []);
  });

  test('come before a directory of the environment, and after one of a flag', () => {
    mkdirSync(path.join(root, 'some'));
    const env = { TERMINALS_POLICIES_GIT: https, TERMINALS_POLICIES_DIR: 'some' };
    assert.equal(keyed(env).config.policiesDir, null);
    const { config } = keyed(env, { overrides: { TERMINALS_POLICIES_DIR: 'some' } });
    assert.deepEqual([config.policiesGit, config.policiesDir], [null, path.join(root, 'some')]);
  });

  test('by http with a token are warned of', () => {
    const env = {
      TERMINALS_POLICIES_GIT: 'http://a.example.org/b.git',
      TERMINALS_POLICIES_GIT_TOKEN_FILE: file,
    };
    assert.match(keyed(env).warnings.join(), /the token can be read on its way/);
  });

  for (const [what, env, variable] of [
    [
      'an ssh key for https',
      { TERMINALS_POLICIES_GIT: https, TERMINALS_POLICIES_GIT_SSH_KEY_FILE: file },
      'TERMINALS_POLICIES_GIT_SSH_KEY_FILE',
    ],
    [
      'a token for ssh',
      { TERMINALS_POLICIES_GIT: 'git@a.org:b.git', TERMINALS_POLICIES_GIT_TOKEN_FILE: file },
      'TERMINALS_POLICIES_GIT_TOKEN_FILE',
    ],
    ['a token alone', { TERMINALS_POLICIES_GIT_TOKEN_FILE: file }, 'TERMINALS_POLICIES_GIT_TOKEN_FILE'],
    [
      'the secret of a webhook alone',
      { TERMINALS_POLICIES_GIT_WEBHOOK_SECRET: 'a-secret-of-a-webhook' },
      'TERMINALS_POLICIES_GIT_WEBHOOK_SECRET',
    ],
    ['signers alone', { TERMINALS_POLICIES_GIT_VERIFY: file }, 'TERMINALS_POLICIES_GIT_VERIFY'],
    [
      'a ConfigMap as well',
      { TERMINALS_POLICIES_GIT: https, TERMINALS_POLICIES_CONFIGMAP: 'policies' },
      'TERMINALS_POLICIES_GIT',
    ],
  ] as const) {
    test(`with ${what} are refused`, () => {
      const problems = problemsOf({ TERMINALS_API_KEY: 'k', ...env });
      assert.deepEqual(
        problems.map((one) => one.variable),
        [variable],
      );
    });
  }

  test('never show a password that is in the address', () => {
    const problems = problemsOf({
      TERMINALS_POLICIES_GIT: 'https://u:hunter2@a.org/b.git',
      TERMINALS_API_KEY: 'k',
    });
    assert.match(problems.map(({ message }) => message).join(), /a password is in the address/);
    assert.doesNotMatch(problems.map(({ message, hint }) => message + hint).join(), /hunter2/);
  });
});
