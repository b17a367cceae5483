import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { temporaryDirectory, until } from './fixtures.ts';
import { type GitServer, Repository, serveGit, sourceOf, told } from './repository.ts';

const basic = (user: string, token: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${token}`).toString('base64')}`,
});

/** A repository behind a server, and a file for a token. */
async function served(): Promise<{
  repository: Repository;
  server: GitServer;
  url: string;
  tokenFile: string;
  directory: string;
}> {
  const folder = temporaryDirectory();
  const repository = new Repository(path.join(folder, 'policies.git'));
  repository.commit({ 'a.yaml': '1' });
  const server = await serveGit(folder);
  const url = `${server.url}/policies.git/.git`;
  return {
    repository,
    server,
    url,
    tokenFile: path.join(folder, 'token'),
    directory: path.join(folder, 'git'),
  };
}

describe('a repository by http', () => {
  test('is read, and when nothing is new only its refs are asked for', async () => {
    const { repository, server, url } = await served();
    const source = sourceOf(url);
    assert.deepEqual(await told(source), { 'a.yaml': '1' });
    const fetches = () => server.requests.filter((one) => one.url?.includes('git-upload-pack')).length;
    const before = fetches();
    await source.read();
    assert.ok(fetches() - before <= 2, `${fetches() - before} requests`);
    repository.commit({ 'a.yaml': '2' });
    assert.deepEqual(await told(source), { 'a.yaml': '2' });
  });

  test('gets the token of a file with its first request, and the next one when that is changed', async () => {
    const { repository, server, url, tokenFile } = await served();
    writeFileSync(tokenFile, 'first-token\n');
    server.behaviour = basic('x-access-token', 'first-token');
    const source = sourceOf(url, { tokenFile });
    assert.deepEqual(await told(source), { 'a.yaml': '1' });
    assert.ok(server.requests.every(({ headers }) => headers.authorization !== undefined));
    server.behaviour = basic('x-access-token', 'second-token');
    writeFileSync(tokenFile, 'second-token');
    repository.commit({ 'a.yaml': '2' });
    assert.deepEqual(await told(source), { 'a.yaml': '2' });
  });

  test('gets it with the user that the address names', async () => {
    const { server, url, tokenFile } = await served();
    writeFileSync(tokenFile, 'deploy-token');
    server.behaviour = basic('deploy', 'deploy-token');
    const source = sourceOf(url.replace('http://', 'http://deploy@'), { tokenFile });
    assert.deepEqual(await told(source), { 'a.yaml': '1' });
    assert.doesNotMatch(source.description, /deploy@/);
  });

  test('refuses a wrong token, and one that is missing: the commit stays, and no token is said', async () => {
    const { server, url, tokenFile } = await served();
    writeFileSync(tokenFile, 'first-token');
    const source = sourceOf(url, { tokenFile });
    await source.read();
    server.behaviour = basic('x-access-token', 'another-token');
    const refused = await told(source);
    assert.deepEqual(refused['a.yaml'], '1');
    assert.match(refused[url] ?? '', /the server asks for a token, or refuses the one it got/);
    rmSync(tokenFile);
    assert.match((await told(source))[url] ?? '', /the token file .* can't be read \(ENOENT\)/);
    writeFileSync(tokenFile, 'two words');
    assert.match((await told(source))[url] ?? '', /the token file .* does not hold a token/);
    const unheard = await told(sourceOf(url));
    assert.match(unheard.unavailable ?? '', /the server asks for a token/);
    for (const words of [refused, unheard])
      assert.doesNotMatch(JSON.stringify(words), /first-token|two words/);
  });

  test('keeps the token out of arguments and files', async () => {
    const { server, url, tokenFile, directory } = await served();
    // Nobody else's process has it in its arguments.
    const token = randomUUID();
    writeFileSync(tokenFile, token);
    server.behaviour = basic('x-access-token', token);
    const source = sourceOf(url, { tokenFile, directory });
    await source.read();
    const encoded = Buffer.from(`x-access-token:${token}`).toString('base64');
    for (const secret of [token, encoded]) {
      assert.throws(() => execFileSync('grep', ['-r', '-l', '-F', secret, directory], { stdio: 'pipe' }));
    }
    server.behaviour = 'hang';
    const reading = source.read();
    const asked = server.requests.length;
    await until('it is asked', () => server.requests.length > asked);
    const commands = execFileSync('ps', ['-A', '-ww', '-o', 'args'], { encoding: 'utf8' });
    assert.match(commands, /git ls-remote/);
    assert.doesNotMatch(commands, new RegExp(`${token}|${encoded}`));
    server.behaviour = 'broken';
    for (const request of server.requests) request.socket.destroy();
    await reading;
  });

  test('follows no redirection, which could lead the token astray', async () => {
    const { server, url, tokenFile } = await served();
    writeFileSync(tokenFile, 'first-token');
    server.behaviour = 'redirect';
    assert.match(
      (await told(sourceOf(url, { tokenFile }))).unavailable ?? '',
      /can't be read: .*(redirect|302)/,
    );
    assert.ok(server.requests.every((request) => !request.url?.startsWith('/else')));
  });

  test('that ends its connections leaves the commit, and an ended process does not wait for one that hangs', async () => {
    const { repository, server, url } = await served();
    const source = sourceOf(url);
    await source.read();
    repository.commit({ 'a.yaml': '2' });
    server.behaviour = 'broken';
    const { [url]: trouble, ...files } = await told(source);
    assert.deepEqual(files, { 'a.yaml': '1' });
    assert.match(trouble ?? '', /unreadable: /);

    server.behaviour = 'hang';
    const ended = new AbortController();
    source.watch(() => undefined, ended.signal);
    const asked = server.requests.length;
    const reading = told(source);
    await until('it is asked', () => server.requests.length > asked);
    ended.abort();
    assert.match((await reading)[url] ?? '', /shutting down/);
  });

  test('that is not there is out of reach', async () => {
    const { server } = await served();
    const source = sourceOf(`${server.url}/nowhere.git`);
    assert.match((await told(source)).unavailable ?? '', /not found|404/);
  });
});
