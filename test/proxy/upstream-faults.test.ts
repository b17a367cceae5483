import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { keyOf, until, unusedPort } from '../reconcile/harness.ts';
import {
  answerOf,
  assertProblem,
  head,
  nextChunk,
  open,
  RawClient,
  send,
  stack,
  startUpstream,
  textOf,
} from './stack.ts';

const alice = keyOf('alice');

test('a client that goes away ends its request to the terminal, and no suspicion falls on the terminal', async (t) => {
  const proxy = await stack(t);
  let gone = false;
  proxy.upstream.handle = (_request, response) => {
    response.write('first');
    response.on('close', () => {
      gone = true;
    });
  };
  const request = open(proxy, '/x', { method: 'GET' });
  request.on('error', () => undefined).end();
  await nextChunk(await answerOf(request));
  const looked = proxy.backend.count('inspect');
  request.destroy();
  await until(() => gone, 'the terminal sees the end');
  assert.equal((await proxy.line()).status, 499);
  assert.equal(proxy.backend.count('inspect'), looked);
});

test('a client that goes away in the middle of an upload is no failure of the terminal', async (t) => {
  const proxy = await stack(t);
  let aborted = false;
  proxy.upstream.handle = (request) => {
    request.resume().on('close', () => {
      aborted = !request.complete;
    });
  };
  const client = await RawClient.connect(t, proxy);
  client.write(head('POST /x HTTP/1.1', 'Content-Length: 1000000'));
  client.write('x'.repeat(1000));
  await until(() => proxy.upstream.requests.length === 1, 'the terminal has it');
  const looked = proxy.backend.count('inspect');
  client.socket.destroy();
  await until(() => aborted, 'the terminal sees the end');
  assert.equal((await proxy.line()).status, 499);
  assert.equal(proxy.backend.count('inspect'), looked);
});

test('a client that goes away while the terminal starts is not waited for', async (t) => {
  const proxy = await stack(t);
  const { promise, resolve } = Promise.withResolvers<void>();
  proxy.backend.inject('create', { before: () => promise });
  const request = open(proxy, '/x', { method: 'GET' });
  request.on('error', () => undefined).end();
  await until(() => proxy.backend.count('create') === 1, 'the start began');
  request.destroy();
  assert.equal((await proxy.line()).status, 499);
  assert.equal([...proxy.reconciler.entries][0]?.waiters.size, 0);
  resolve();
  await until(() => proxy.backend.actual(alice) !== undefined, 'the start ended');
  assert.equal(proxy.upstream.requests.length, 0);
});

test('a terminal that dies in the middle of its answer: the answer is cut, so that nobody takes it for whole', async (t) => {
  const proxy = await stack(t);
  for (const headers of [{}, { 'content-length': 100 }]) {
    proxy.upstream.handle = (request, response) => {
      response.writeHead(200, headers);
      response.write('first');
      setTimeout(() => request.socket.destroy(), 20);
    };
    const request = open(proxy, '/x', { method: 'GET' });
    request.end();
    await assert.rejects(textOf(await answerOf(request)), { code: 'ECONNRESET' });
  }
});

test('a terminal that dies before its answer is a problem that says the request may have had effects; it is not sent again', async (t) => {
  const proxy = await stack(t);
  proxy.upstream.handle = (request) => request.socket.destroy();
  const problem = assertProblem(
    await send(proxy, '/x', { method: 'POST', body: 'x' }),
    502,
    'terminal-unreachable',
  );
  assert.match(String(problem.detail), /may have had effects/);
  assert.equal(proxy.upstream.requests.length, 1);
});

test('a terminal that is paused under a request: that one, too, is told how to undo it', async (t) => {
  const proxy = await stack(t);
  proxy.upstream.handle = () => undefined;
  const answer = send(proxy, '/x');
  await until(() => proxy.upstream.requests.length === 1, 'the terminal has it');
  const running = proxy.backend.actual(alice) ?? assert.fail();
  const detail = 'paused from outside; "docker unpause x" lets it go on';
  proxy.backend.outside(alice, { ...running, phase: 'Error', detail, recover: 'by-hand' });
  const problem = assertProblem(await answer, 504, 'terminal-paused');
  assert.match(String(problem.detail), /docker unpause x/);
});

test('one broken answer does not cut the other answers of the same terminal', async (t) => {
  const proxy = await stack(t);
  let finish = () => {};
  proxy.upstream.handle = (request, response) => {
    if (request.url === '/breaks') {
      request.socket.destroy();
      return;
    }
    response.write('first');
    finish = () => response.end('last');
  };
  const following = open(proxy, '/follow', { method: 'GET' });
  following.end();
  const response = await answerOf(following);
  assert.equal(await nextChunk(response), 'first');
  const looked = proxy.backend.count('inspect');
  assert.equal((await send(proxy, '/breaks')).status, 502);
  await until(() => proxy.backend.count('inspect') > looked, 'the terminal is looked up');
  finish();
  assert.equal(await textOf(response), 'last');
});

test('a terminal that takes no connection is looked up, started and tried once more, with the whole body', async (t) => {
  const port = unusedPort();
  const proxy = await stack(t, { upstreamPort: port });
  await send(proxy, '/x');
  proxy.backend.deaf = true;
  await proxy.upstream.close();
  proxy.backend.inject('inspect', {
    before: async () => {
      const again = await startUpstream(t, port);
      again.handle = (request, response) => request.pipe(response);
    },
  });
  const { status, body } = await send(proxy, '/x', { method: 'POST', body: 'the whole body' });
  assert.equal(status, 200, body);
  assert.equal(body, 'the whole body');
});

test('one that moved to another address is followed there', async (t) => {
  const proxy = await stack(t);
  await send(proxy, '/x');
  proxy.backend.deaf = true;
  const elsewhere = await startUpstream(t);
  const actual = proxy.backend.actual(alice);
  assert.ok(actual?.phase === 'Running');
  proxy.backend.outside(alice, {
    ...actual,
    startedAt: 99,
    address: { host: '127.0.0.1', port: elsewhere.port },
  });
  await proxy.upstream.close();
  assert.equal((await send(proxy, '/x', { method: 'POST', body: 'x' })).status, 200);
  assert.equal(elsewhere.requests.length, 1);
});

test('a terminal that never takes a connection is tried twice, then is a problem', async (t) => {
  const proxy = await stack(t);
  await send(proxy, '/x');
  await proxy.upstream.close();
  const looked = proxy.backend.count('inspect');
  const problem = assertProblem(await send(proxy, '/x'), 502, 'terminal-unreachable');
  assert.match(String(problem.detail), /takes no connection/);
  await until(() => proxy.backend.count('inspect') >= looked + 2, 'looked up after each try');
});

test('bytes that went up are never sent again, also where the terminal comes back at once', async (t) => {
  const proxy = await stack(t);
  let times = 0;
  proxy.upstream.handle = (request) => {
    times += 1;
    request.once('data', () => request.socket.destroy());
  };
  const client = await RawClient.connect(t, proxy);
  client.write(head('POST /x HTTP/1.1', 'Content-Length: 100', 'Connection: close'));
  client.write('some of it');
  await client.untilEnd();
  assert.match(client.received, /^HTTP\/1\.1 502 /);
  assert.equal(times, 1);
});

test('an answer that is no HTTP, or has headers that can not be passed on, is a problem, and the server serves on', async (t) => {
  const proxy = await stack(t);
  const answers = [
    'not http at all\r\n\r\n',
    'HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n',
    'HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx',
    `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`,
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    '',
  ];
  for (const answer of answers) {
    proxy.upstream.handle = ({ socket }) => socket.end(answer, 'latin1');
    const { status } = await send(proxy, '/x');
    assert.equal(status, 502, JSON.stringify(answer.slice(0, 60)));
  }
  proxy.upstream.handle = (_request, response) => response.end('fine');
  assert.equal((await send(proxy, '/x')).body, 'fine');
});

test('connections to a terminal are used again, and closed when it stops', async (t) => {
  const proxy = await stack(t);
  let connections = 0;
  let ended = 0;
  proxy.upstream.server.on('connection', (socket) => {
    connections += 1;
    socket.on('close', () => {
      ended += 1;
    });
  });
  for (let round = 0; round < 5; round += 1) await send(proxy, '/x');
  assert.equal(connections, 1);
  await proxy.backend.stop(alice);
  await until(() => ended === 1, 'the connection is closed');
  assert.equal(proxy.upstreams.size, 0);
});

test('a client that pipelines gets its answers in order', async (t) => {
  const proxy = await stack(t);
  proxy.upstream.handle = (request, response) => {
    setTimeout(() => response.end(`answer to ${request.url};`), request.url === '/1' ? 50 : 0);
  };
  const client = await RawClient.connect(t, proxy);
  client.write(head('GET /1 HTTP/1.1') + head('GET /2 HTTP/1.1', 'Connection: close'));
  await client.untilEnd();
  assert.match(client.received, /answer to \/1;[\s\S]*answer to \/2;/);
});

test('a hundred requests at once each get their own answer', async (t) => {
  const proxy = await stack(t);
  proxy.upstream.handle = (request, response) => response.end(request.url);
  const paths = Array.from({ length: 100 }, (_, index) => `/${index}`);
  const bodies = await Promise.all(paths.map(async (path) => (await send(proxy, path)).body));
  assert.deepEqual(bodies, paths);
  assert.equal(proxy.backend.count('create'), 1);
});

test('a terminal is in use while a request of it is under way, and no longer', async (t) => {
  const proxy = await stack(t);
  let finish = () => {};
  proxy.upstream.handle = (_request, response) => {
    response.write('first');
    finish = () => response.end();
  };
  const request = open(proxy, '/x', { method: 'GET' });
  request.end();
  const response = await answerOf(request);
  await nextChunk(response);
  const [entry] = proxy.reconciler.entries;
  assert.equal(entry?.inFlight, 1);
  finish();
  response.resume();
  await once(response, 'end');
  await until(() => entry?.inFlight === 0, 'it is free');
});
