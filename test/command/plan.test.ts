import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { planMarkdown } from '../../src/command/plan-markdown.ts';
import { planText } from '../../src/command/plan-text.ts';
import type { PlanReport } from '../../src/reconcile/plan-report.ts';
import { adminKey, adminStack } from '../admin/admin.ts';
import { policyText } from '../policy/fixtures.ts';
import { directoryOf, terminalsHere } from './cli.ts';

const data = policyText('data', 'image: data:1', 'env: {TOKEN: hunter2}', 'idleTimeoutMinutes: 0');
const env = { TERMINALS_ADMIN_KEY: adminKey };
const report: PlanReport = {
  revision: 'r',
  source: null,
  policies: [
    {
      policy: 'data' as never,
      declared: 'a.yaml:1',
      change: 'changed',
      changes: [{ field: 'image', from: 'a|b`c', to: '@everyone <b>' }],
    },
  ],
  rollouts: [{ policy: 'data' as never, replaced: 2, parallel: 1 }],
  terminals: ['alice', 'b\u001b[2Job'].map((user) => ({
    terminal: `terminals-data-${user.length}` as never,
    user: user as never,
    policy: 'data' as never,
    context: null,
    phase: 'Running',
    reason: null,
    steps: [{ action: 'replace', when: 'now', reason: 'the policy changed', change: true, changes: [] }],
  })),
  problems: [],
};

test('against a server: exit code 0 where nothing changes, 2 where something does', async (t) => {
  const { port, run } = await adminStack(t, { files: { 'data.yaml': data } });
  await run('alice', 'data');
  const cwd = directoryOf({
    'same/data.yaml': data,
    'next/data.yaml': data.replace('data:1', 'data:2').replace('hunter2', 'hunter3'),
  });
  const plan = (...args: readonly string[]) =>
    terminalsHere(['plan', ...args, '--server', `http://127.0.0.1:${port}`], { cwd, env });
  const now = await plan();
  assert.deepEqual([now.code, now.err], [0, '']);
  assert.match(now.out, /nothing to do: as declared\n1 terminal, 0 to change\n$/);
  const same = await plan('same');
  assert.deepEqual([same.code, same.out], [0, now.out]);

  const next = await plan('next');
  assert.deepEqual([next.code, next.err], [2, '']);
  assert.match(next.out, /^~ policy data changed \(next\/data\.yaml:1\)\n/);
  assert.match(next.out, /\n {6}env\.TOKEN: \(set\) → \(changed\)\n {6}image: data:1 → data:2\n/);
  assert.match(next.out, /\(user alice, policy data, Running\)\n {2}replace at 20\S+Z: the policy changed/);
  assert.match(next.out, /\n1 policy to change; 1 terminal, 1 to change\n$/);
  const json = await plan('next', '--format', 'json');
  assert.deepEqual([json.code, JSON.parse(json.out).policies.length], [2, 1]);
  assert.equal((await plan('next', '--json')).code, 2);
  const markdown = await plan('next', '--format', 'markdown');
  assert.equal(markdown.code, 2);
  assert.match(markdown.out, /^### Terminals: plan\n/);
  for (const { out } of [next, json, markdown]) assert.doesNotMatch(out, /hunter/);
});

test('against a server: policies with errors are exit code 1, with the problems', async (t) => {
  const { port, run } = await adminStack(t, { files: { 'data.yaml': data } });
  await run('alice', 'data');
  const cwd = directoryOf({ 'broken/data.yaml': data.replace('data:1', 'A B') });
  const args = ['plan', 'broken', '--server', `http://127.0.0.1:${port}`];
  const text = await terminalsHere(args, { cwd, env });
  assert.equal(text.code, 1);
  assert.match(text.err, /^broken\/data\.yaml:6:10: error: spec\.image: /);
  assert.match(text.out, /1 terminal, 0 to change\n$/);
  const markdown = await terminalsHere([...args, '--format', 'markdown'], { cwd, env });
  assert.equal(markdown.code, 1);
  assert.match(markdown.out, /\*\*Problems\*\*\n\n- `broken\/data\.yaml:6:10: error: /);
});

test('words of the call that are off are exit code 1 as well, since 2 says that there are changes', async () => {
  for (const [args, words] of [
    [['--format', 'yaml'], /--format takes text, json, markdown, not "yaml"/],
    [['--fromat', 'json'], /--fromat/],
    [['a', 'b'], /plan takes one directory/],
    [['polcies'], /there is no directory polcies/],
    [['a', '--policies', 'b'], /name the directory once/],
    [['--server', 'nowhere'], /--server takes a URL/],
    [['--server', 'http://127.0.0.1:1', '--backend', 'docker'], /--backend means nothing to a server/],
    [['missing', '--server', 'http://127.0.0.1:1'], /missing can't be read: it does not exist/],
  ] as const) {
    const { code, out, err } = await terminalsHere(['plan', ...args], { env });
    assert.deepEqual([code, out], [1, ''], args.join(' '));
    assert.match(err, words);
  }
});

test('without a server: a directory is planned against the backend, and broken policies have no plan', async () => {
  const cwd = directoryOf({ 'good/a.yaml': policyText('a'), 'bad/a.yaml': policyText('a', 'image: A B') });
  const here = { TERMINALS_BACKEND: 'process', TERMINALS_DATA_DIR: path.join(cwd, 'data') };
  const plan = (...args: readonly string[]) => terminalsHere(['plan', ...args], { cwd, env: here });
  assert.deepEqual(await plan('good'), { code: 0, out: '0 terminals, 0 to change\n', err: '' });
  const json = await plan('good', '--json');
  assert.deepEqual([json.code, JSON.parse(json.out).terminals], [0, []]);
  const bad = await plan('bad');
  assert.deepEqual([bad.code, bad.out], [1, '']);
  assert.match(bad.err, /^bad\/a\.yaml:6:10: error: [^\n]*\nThere is no plan while policies have errors/);
  const markdown = await plan('bad', '--format', 'markdown');
  assert.equal(markdown.code, 1);
  assert.match(markdown.out, /There is no plan while policies have errors.*\n\n\*\*Problems\*\*/);
});

test('markdown counts terminals and names no user; nothing in it is markup of somebody else', () => {
  const text = planMarkdown(report, true);
  assert.doesNotMatch(text, /alice/);
  assert.match(text, /\n\| `data` \| 2 \| replace \| `now` \| `the policy changed` \|\n/);
  assert.match(text, /- `data` changed \(`a\.yaml:1`\)\n {2}- `image`: `a\\\|b'c` → `@everyone <b>`\n/);
  assert.match(text, /- `data`: 2 to replace: one first, then 1 at a time\n/);
});

test('markdown fits into a comment, however much changes', () => {
  const [first] = report.policies;
  assert.ok(first);
  const much = { ...report, policies: Array.from({ length: 5_000 }, () => first) };
  const text = planMarkdown(much, true);
  assert.ok(text.length < 65_536);
  assert.match(text, /\n… and more than fits here\.\n$/);
});

test('text acts on no terminal, whatever a user is called', () => {
  const text = planText(report, { colour: false });
  assert.ok(!text.includes('\u001b'));
  assert.match(text, /policy data: 2 terminals to replace: one first, then 1 at a time\n/);
  assert.ok(planText(report, { colour: true }).includes('\u001b[33m'));
});
