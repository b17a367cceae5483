import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import pino from 'pino';
import { Audit, auditDestination } from '../src/audit.ts';
import { AuditUnavailableError, ForbiddenError } from '../src/errors.ts';
import { nobody, terminalName } from '../src/terminal/names.ts';
import type { ContextId, PolicyId, TerminalKey, UserId } from '../src/terminal/terminal.ts';
import { directoryOf } from './command/cli.ts';
import { policyText, setOf } from './policy/fixtures.ts';
import { capturedLog } from './reconcile/harness.ts';

const key: TerminalKey = {
  policy: 'data' as PolicyId,
  user: 'alice' as UserId,
  context: 'chat:1' as ContextId,
};

const silent = pino({ level: 'silent' });

/** What is recorded, without the time. */
function recorded(write: (audit: Audit) => void): Record<string, unknown>[] {
  const lines: string[] = [];
  write(new Audit({ write: (line: string) => void lines.push(line) }, silent));
  return lines.map((line) => {
    const { time, log, ...rest } = JSON.parse(line);
    assert.equal(new Date(time).toISOString(), time);
    assert.equal(log, 'audit');
    return rest;
  });
}

test('an admission says who, by what, in which groups, to which policy', () => {
  const identity = {
    user: key.user,
    groups: [{ id: 'g1', name: 'data' }],
    admittedBy: 'oidc' as const,
    subject: 'sub-1',
  };
  assert.deepEqual(
    recorded((audit) => audit.admitted({ identity, key }, 'r1')),
    [
      {
        event: 'admitted',
        user: 'alice',
        policy: 'data',
        context: 'chat:1',
        admittedBy: 'oidc',
        groups: ['data'],
        subject: 'sub-1',
        requestId: 'r1',
      },
    ],
  );
});

test('a refusal says its reason, and the user as somebody who was named and not proven', () => {
  const error = new ForbiddenError('a sentence with what was asked for', 'a hint');
  assert.deepEqual(
    recorded((audit) => audit.refused(error, { user: 'mallory', requestId: null })),
    [{ event: 'refused', claimedUser: 'mallory', reason: 'forbidden' }],
  );
});

test('what was done with a terminal says why', () => {
  const name = terminalName(key);
  assert.deepEqual(
    recorded((audit) => audit.acted('stop', { key, name }, 'idle for 30 minutes')),
    [
      {
        event: 'stop',
        terminal: name,
        user: 'alice',
        policy: 'data',
        context: 'chat:1',
        reason: 'idle for 30 minutes',
      },
    ],
  );
});

test("what is nobody's yet names no user", () => {
  const warm = { policy: 'data' as PolicyId, user: nobody('0123456789abcdef'), context: null };
  const [line] = recorded((audit) => audit.acted('create', { key: warm, name: terminalName(warm) }, 'ahead'));
  assert.deepEqual(line, {
    event: 'create',
    terminal: 'terminals-warm_data_0123456789abcdef',
    policy: 'data',
    reason: 'ahead',
  });
});

test('a change of policies says which, where it is declared, and from which revision to which', () => {
  const before = setOf({ 'a.yaml': policyText('a'), 'b.yaml': policyText('b') });
  const after = setOf({ 'b.yaml': policyText('b', 'image: b:2'), 'c.yaml': policyText('c') });
  const revisions = { revision: after.revision, previousRevision: before.revision };
  assert.deepEqual(
    recorded((audit) => audit.policiesChanged(after, before)).sort((x, y) =>
      `${x.policy}` < `${y.policy}` ? -1 : 1,
    ),
    [
      { event: 'policy-removed', policy: 'a', file: 'a.yaml:1', ...revisions },
      { event: 'policy-changed', policy: 'b', file: 'b.yaml:1', ...revisions },
      { event: 'policy-added', policy: 'c', file: 'c.yaml:1', ...revisions },
    ],
  );
});

test('a file is appended to, its folders are made, and only its owner may read it', async () => {
  const file = path.join(directoryOf({}), 'log', 'audit.log');
  for (const user of ['one', 'two']) {
    const audit = new Audit(auditDestination({ auditLog: { file } }), silent);
    audit.refused(new Error('x'), { user, requestId: null });
  }
  const lines = (await readFile(file, 'utf8')).trim().split('\n');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).claimedUser),
    ['one', 'two'],
  );
  assert.equal((await stat(file)).mode & 0o777, 0o600);
});

test('without a destination nothing is recorded', () => {
  assert.equal(auditDestination({ auditLog: null }), null);
  new Audit(null, silent).refused(new Error('x'), { user: undefined, requestId: null });
});

test('where it can not be written nobody is let in, the log says so once until it works again, and nothing else fails', async () => {
  const { log, lines } = await capturedLog();
  let full = true;
  const written: string[] = [];
  const destination = {
    write(line: string) {
      if (full) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
      written.push(line);
    },
  };
  const audit = new Audit(destination, log);
  const identity = { user: key.user, groups: null, admittedBy: 'shared-key' as const };
  const admit = () => audit.admitted({ identity, key }, 'r1');
  for (let round = 0; round < 3; round += 1) {
    assert.throws(admit, AuditUnavailableError);
    audit.refused(new ForbiddenError('m', 'h'), { user: 'mallory', requestId: null });
    audit.acted('stop', { key, name: terminalName(key) }, 'idle');
  }
  assert.deepEqual(
    lines.map(({ level }) => level),
    ['error'],
  );
  full = false;
  admit();
  admit();
  assert.equal(written.length, 2);
  assert.deepEqual(
    lines.map(({ level, msg }) => [level, msg]),
    [
      ['error', 'the audit log can not be written: nobody is let in until it can'],
      ['info', 'the audit log is written again'],
    ],
  );
});
