import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { policyText } from '../policy/fixtures.ts';
import { Repository } from '../policy/repository.ts';
import { send } from '../proxy/stack.ts';
import { until } from '../reconcile/harness.ts';
import { adminStack, sharedKey } from './admin.ts';

const secret = 'the-secret-of-the-webhook';
const path = '/api/v1/webhooks/git';
const signed = (body: string, by = secret) => `sha256=${createHmac('sha256', by).update(body).digest('hex')}`;

/** Policies from a repository that is looked at only when it is said to. */
async function stack(
  t: TestContext,
  more: Record<string, string> = { TERMINALS_POLICIES_GIT_WEBHOOK_SECRET: secret },
) {
  const repository = new Repository();
  repository.commit({ 'team.yaml': policyText('team', 'image: team:1') });
  const made = await adminStack(t, {
    files: null,
    env: { TERMINALS_POLICIES_GIT: repository.url, TERMINALS_POLICIES_GIT_INTERVAL: '0', ...more },
  });
  const post = (headers: Record<string, string>, body = '{"ref": "refs/heads/main"}') =>
    send(made, path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
  const image = () =>
    [...made.program.policies.current.policies.values()].find(({ id }) => id === 'team')?.spec.image;
  return { ...made, repository, post, image };
}

const body = `{"ref": "refs/heads/main", "commits": "${'x'.repeat(300_000)}"}`;
for (const [whose, headers] of [
  ['GitHub', { 'x-hub-signature-256': signed(body), 'x-github-event': 'push' }],
  ['Bitbucket', { 'x-hub-signature': signed(body) }],
  ['GitLab', { 'x-gitlab-token': secret, 'x-gitlab-event': 'Push Hook' }],
] as const) {
  test(`a push is in force once the webhook of ${whose} was answered`, async (t) => {
    const { repository, post, image, program } = await stack(t);
    assert.equal(image(), 'team:1');
    const commit = repository.commit({ 'team.yaml': policyText('team', 'image: team:2') });
    const { status, body: answer } = await post(headers, body);
    assert.deepEqual([status, JSON.parse(answer)], [202, { status: 'accepted' }]);
    await until(() => image() === 'team:2', 'the pushed policy is in force', 20_000);
    assert.equal(program.policies.current.source, commit);
  });
}

test('who does not know the secret is refused, and nothing is read', async (t) => {
  const { repository, post, image, logText } = await stack(t);
  repository.commit({ 'team.yaml': policyText('team', 'image: team:2') });
  const sent = '{"ref": "refs/heads/main"}';
  for (const headers of [
    {},
    { 'x-hub-signature-256': signed(sent, 'another') },
    { 'x-hub-signature-256': signed(`${sent} `) },
    { 'x-hub-signature-256': 'sha256=' },
    { 'x-hub-signature': `sha1=${createHmac('sha1', secret).update(sent).digest('hex')}` },
    { 'x-gitlab-token': `${secret}x` },
    { 'x-gitlab-token': '', 'x-hub-signature-256': signed(sent) },
    { authorization: `Bearer ${sharedKey}` },
  ]) {
    const { status, headers: answered, body: problem } = await post(headers, sent);
    assert.equal(status, 401, JSON.stringify(headers));
    assert.equal(answered['content-type'], 'application/problem+json');
    assert.match(JSON.parse(problem).detail, /TERMINALS_POLICIES_GIT_WEBHOOK_SECRET/);
    assert.ok(!problem.includes(secret));
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(image(), 'team:1');
  assert.ok(!logText().includes(secret));
});

test('a repository out of reach leaves the last good policies in force, and the next webhook finds it again', async (t) => {
  const { repository, post, image, program } = await stack(t);
  const sent = '{}';
  const head = repository.git('branch', '--show-current');
  repository.git('branch', '--move', 'gone');
  repository.git('symbolic-ref', 'HEAD', 'refs/heads/nowhere');
  assert.equal((await post({ 'x-hub-signature-256': signed(sent) }, sent)).status, 202);
  await until(() => program.policies.current.problems.length > 0, 'that it is out of reach', 20_000);
  assert.equal(image(), 'team:1');
  repository.git('symbolic-ref', 'HEAD', 'refs/heads/gone');
  repository.git('branch', '--move', head);
  repository.commit({ 'team.yaml': policyText('team', 'image: team:3') });
  assert.equal((await post({ 'x-hub-signature-256': signed(sent) }, sent)).status, 202);
  await until(() => image() === 'team:3', 'the next commit is in force', 20_000);
  assert.deepEqual(program.policies.current.problems, []);
});

test('without a secret there is no webhook', async (t) => {
  const { post } = await stack(t, {});
  const { status } = await post({ 'x-hub-signature-256': signed('{}', '') }, '{}');
  assert.equal(status, 404);
});
