import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { test } from 'node:test';
import { Upstreams } from '../../src/proxy/upstreams.ts';
import { until } from '../reconcile/harness.ts';

const terminals = 10_000;
const atOnce = 100;

/** How many sockets this process has open or is opening, and how many timers run. */
function resources(): { readonly sockets: number; readonly timers: number } {
  const all = process.getActiveResourcesInfo();
  const count = (name: string) => all.filter((each) => each === name).length;
  return { sockets: count('TCPSocketWrap') + count('TCPConnectWrap'), timers: count('Timeout') };
}

test('ten thousand terminals come and go, and leave no connection, pool or timer behind', async (t) => {
  // Every address of 127.0.0.0/8 is this machine's.
  const server = http.createServer((_request, response) => response.end('fine')).listen(0, '0.0.0.0');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  let open = 0;
  let most = 0;
  server.on('connection', (socket) => {
    open += 1;
    most = Math.max(most, open);
    socket.on('close', () => {
      open -= 1;
    });
  });
  const upstreams = new Upstreams();
  const before = resources();

  async function useAndStop(terminal: number): Promise<void> {
    const host = `127.0.${1 + Math.floor(terminal / 250)}.${1 + (terminal % 250)}`;
    const address = { host, port };
    const pool = upstreams.pool(address);
    const status = await new Promise((resolve, reject) => {
      let status = 0;
      pool.dispatch(
        { path: '/', method: 'GET' },
        {
          onRequestStart: () => undefined,
          onResponseStart: (_controller, code) => {
            status = code;
          },
          onResponseData: () => undefined,
          onResponseEnd: () => resolve(status),
          onResponseError: (_controller, error) => reject(error),
        },
      );
    });
    assert.equal(status, 200);
    upstreams.release(address);
  }
  for (let first = 0; first < terminals; first += atOnce) {
    await Promise.all(Array.from({ length: atOnce }, (_, index) => useAndStop(first + index)));
  }

  assert.equal(upstreams.size, 0);
  assert.ok(
    most <= 3 * atOnce,
    `${most} were open at once: they end with their terminal, not when nobody uses them`,
  );
  await until(() => open === 0, 'the last connection has ended');
  await until(() => resources().sockets === before.sockets, 'no socket is left');
  assert.ok(resources().timers <= before.timers + 1, 'at most the clock that undici shares');
});
