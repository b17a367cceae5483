import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { temporaryFolder } from '../reconcile/harness.ts';
import { terminals } from './cli.ts';

/** What it says when it can't start, at this address. */
async function refusedAt(host: string, port: number, more: Readonly<Record<string, string>> = {}) {
  const cwd = await temporaryFolder();
  const env = {
    // An engine that does not answer keeps nobody from listening.
    TERMINALS_BACKEND: 'docker',
    DOCKER_HOST: 'unix:///nowhere',
    TERMINALS_API_KEY: 'a-key',
    TERMINALS_DATA_DIR: 'data',
    TERMINALS_POLICIES_DIR: '.',
    TERMINALS_HOST: host,
    TERMINALS_PORT: String(port),
    ...more,
  };
  const { code, err } = await terminals(['serve'], { cwd, env });
  assert.equal(code, 1, err);
  return err;
}

for (const workers of ['1', '2']) {
  test(`a port that is taken is named, with what to do, by ${workers} that serve`, async (t) => {
    const other = net.createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    t.after(() => other.close());
    const { port } = other.address() as AddressInfo;
    assert.equal(
      await refusedAt('127.0.0.1', port, { TERMINALS_WORKERS: workers }),
      `terminals: something listens at 127.0.0.1:${port} already: end it, or choose another port (TERMINALS_PORT)\n`,
    );
  });
}

test('an address that this machine does not have is named', async () => {
  assert.equal(
    await refusedAt('203.0.113.7', 0),
    'terminals: this machine has no address 203.0.113.7: set TERMINALS_HOST to one that it has, or to 0.0.0.0 for all\n',
  );
});
