import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { until } from '../reconcile/harness.ts';
import { stack } from './stack.ts';

const refused: readonly (readonly [what: string, sent: string, status: number])[] = [
  ['a handshake', 'GET /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', 426],
  ['what is no HTTP', 'hello\r\n\r\n', 400],
];
for (const [what, sent, status] of refused) {
  test(`${what} is refused, and a shutdown does not wait for a client that never ends its side`, async (t) => {
    const proxy = await stack(t);
    const socket = net.connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
    t.after(() => socket.destroy());
    let received = '';
    socket.on('data', (chunk) => {
      received += chunk.toString();
    });
    socket.write(sent);
    await once(socket, 'end');
    assert.match(received, new RegExp(`^HTTP/1\\.1 ${status} `));
    let over = false;
    void proxy.drain().then(() => {
      over = true;
    });
    await until(() => over, 'the shutdown');
  });
}

test('a handshake that comes during a shutdown is refused, and not waited for either', async (t) => {
  const proxy = await stack(t);
  const socket = net.connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  await proxy.sockets.closeAll(1012, 'Terminals restarts', 0);
  socket.write(refused[0]?.[1] ?? assert.fail());
  const [answer] = await once(socket, 'data');
  assert.match(String(answer), /^HTTP\/1\.1 503 /);
  let over = false;
  void proxy.drain().then(() => {
    over = true;
  });
  await until(() => over, 'the shutdown');
});
