import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Claims } from '../../../src/backend/docker/claims.ts';
import { Containers } from '../../../src/backend/docker/containers.ts';
import { HeldLimits } from '../../../src/backend/docker/held-limits.ts';
import { Networks } from '../../../src/backend/docker/network.ts';
import { EngineUnavailableError } from '../../../src/errors.ts';
import type { RunningTerminal } from '../../../src/terminal/terminal.ts';
import { withoutDocker } from '../../engines.ts';
import { capturedLog } from '../../reconcile/harness.ts';
import {
  docker,
  execute,
  networkFor,
  never,
  ownNetworkFor,
  placeFor,
  quiet,
  removeNetwork,
  silent,
} from './engine.ts';
import { type EngineProxy, proxyFor } from './engine-proxy.ts';

/** Tries a TCP connection from inside: `open`, or the name of the failure. */
function connect(from: RunningTerminal, host: string, port: number): Promise<string> {
  const script = [
    'import socket,sys',
    'try: socket.create_connection((sys.argv[1], int(sys.argv[2])), 2); print("open")',
    'except OSError as error: print(type(error).__name__)',
  ].join('\n');
  return execute(from, `python3 -c '${script}' ${host} ${port}`);
}

async function ownAddress(terminal: RunningTerminal): Promise<string> {
  const { Networks } = (await docker.getContainer(terminal.name).inspect()).NetworkSettings;
  const [address] = Object.values(Networks).map(({ IPAddress }) => IPAddress);
  assert.ok(address);
  return address;
}

describe('the network of terminals', { skip: await withoutDocker() }, () => {
  test("two terminals in our own network can't open each other's port", async (t) => {
    const place = await placeFor(t);
    const backend = place.backend();
    const [alice, bob] = await Promise.all(
      ['alice', 'bob'].map((user) => backend.create(place.desired(user), quiet, never)),
    );
    assert.ok(alice && bob);
    const addresses = [await ownAddress(alice), await ownAddress(bob)] as const;
    assert.notEqual(addresses[0], addresses[1]);
    // Each is there, as it is for itself.
    assert.equal(await connect(alice, addresses[0], 8000), 'open');
    assert.equal(await connect(bob, addresses[1], 8000), 'open');
    assert.notEqual(await connect(alice, addresses[1], 8000), 'open');
    assert.notEqual(await connect(bob, addresses[0], 8000), 'open');
    assert.notEqual(await connect(alice, bob.name, 8000), 'open');
  });

  test('our own network is made anew for a terminal that was cut from it, and runs on', async (t) => {
    const place = await placeFor(t);
    const ownNetwork = ownNetworkFor(t);
    const backend = place.backend({ ownNetwork });
    const desired = place.desired('alice');
    const alice = await backend.create(desired, quiet, never);
    await docker.getNetwork(ownNetwork).disconnect({ Container: alice.name });
    assert.ok(await removeNetwork(ownNetwork));
    const cut = await backend.inspect(desired.key, never);
    assert.ok(cut?.phase === 'Error' && cut.astray);
    const again = await backend.update(desired, never);
    assert.ok(again.phase === 'Running' && again.startedAt === alice.startedAt);
    assert.equal(await execute(again, 'echo here'), 'here');
    const { Options } = await docker.getNetwork(ownNetwork).inspect();
    assert.equal(Options?.['com.docker.network.bridge.enable_icc'], 'false');
  });

  /** Refuses so many makings of a network. */
  const refusing = (status: number, times: number, message?: string): EngineProxy['meets'] => {
    let left = times;
    return (request) => {
      if (!request.startsWith('POST /networks/create') || left === 0) return null;
      left -= 1;
      return { kind: 'refuse', status, ...(message === undefined ? {} : { message }) };
    };
  };
  const networkOf = async ({ name }: RunningTerminal) =>
    (await docker.getContainer(name).inspect()).HostConfig.NetworkMode;

  test('where the engine fails to make our own no terminal is put elsewhere for that', async (t) => {
    const place = await placeFor(t);
    const ownNetwork = ownNetworkFor(t);
    const proxy = await proxyFor(t);
    const backend = place.backend({ ownNetwork, docker: proxy.client });
    proxy.meets = refusing(500, 1);
    await assert.rejects(backend.create(place.desired('alice'), quiet, never), EngineUnavailableError);
    assert.equal(await networkOf(await backend.create(place.desired('alice'), quiet, never)), ownNetwork);
  });

  test('where the kernel can not keep containers apart the engine says so as a fault, and it is a refusal', async (t) => {
    const place = await placeFor(t);
    const proxy = await proxyFor(t);
    const { log, text } = await capturedLog();
    const backend = place.backend({ ownNetwork: ownNetworkFor(t), docker: proxy.client, log });
    const message =
      'cannot restrict inter-container communication: please ensure that br_netfilter kernel module is loaded';
    proxy.meets = refusing(500, 1, message);
    assert.equal(await networkOf(await backend.create(place.desired('alice'), quiet, never)), 'default');
    assert.match(text(), /br_netfilter.*are on the default bridge/);
  });

  test('where it refuses to, terminals are on the default bridge for as long as it does, and that is said once', async (t) => {
    const place = await placeFor(t);
    const ownNetwork = ownNetworkFor(t);
    const proxy = await proxyFor(t);
    const { log, text } = await capturedLog();
    const backend = place.backend({ ownNetwork, docker: proxy.client, log });
    proxy.meets = refusing(403, 2);
    const alice = await backend.create(place.desired('alice'), quiet, never);
    const bob = await backend.create(place.desired('bob'), quiet, never);
    const carol = await backend.create(place.desired('carol'), quiet, never);
    assert.deepEqual(
      [await networkOf(alice), await networkOf(bob), await networkOf(carol)],
      ['default', 'default', ownNetwork],
    );
    assert.equal(text().split('are on the default bridge').length - 1, 1);
    assert.equal((await backend.inspect(alice.key, never))?.astray, undefined);
    assert.equal((await backend.inspect(alice.key, never))?.phase, 'Running');
  });

  test('a published port is on the given address only, and not open to other terminals', async (t) => {
    const place = await placeFor(t);
    const alice = await place.backend().create(place.desired('alice'), quiet, never);
    const { NetworkSettings } = await docker.getContainer(alice.name).inspect();
    const published = NetworkSettings.Ports['8000/tcp']?.filter(({ HostPort }) => HostPort);
    assert.deepEqual(
      published?.map(({ HostIp }) => HostIp),
      ['127.0.0.1'],
    );
    const port = Number(published?.[0]?.HostPort);
    const { Gateway: gateway } = Object.values(NetworkSettings.Networks)[0] ?? {};
    assert.ok(gateway);
    assert.notEqual(await connect(alice, gateway, port), 'open');
    const throughIt = { ...alice, address: { host: '127.0.0.1', port } };
    assert.equal(await execute(throughIt, 'echo reached'), 'reached');
  });

  test('where only published ports can be reached, they are the address also of what is looked at again', async (t) => {
    const place = await placeFor(t);
    const { name } = await place.backend().create(place.desired('alice'), quiet, never);
    const claims = new Claims(place.dataDir, silent);
    const networks = new Networks(docker, [], silent);
    const held = new HeldLimits(docker, silent);
    const containers = new Containers({ docker, claims, publishHost: '127.0.0.1', networks, held });
    const info = await containers.inspect(name, never);
    const [, published] = info ? containers.candidates(info) : [];
    assert.ok(info && published);
    containers.answered(info, published);
    const actual = containers.observe(info);
    assert.ok(actual?.phase === 'Running');
    assert.deepEqual(actual.address, published);
  });

  test('with TERMINALS_NETWORK they are in it, by name, with no published port', async (t) => {
    const place = await placeFor(t);
    const network = await networkFor(t);
    const backend = place.backend({ networks: [network] });
    const alice = await backend.create(place.desired('alice'), quiet, never);
    const info = await docker.getContainer(alice.name).inspect();
    assert.deepEqual(Object.keys(info.NetworkSettings.Networks), [network]);
    assert.deepEqual(Object.values(info.HostConfig.PortBindings ?? {}), []);
    assert.equal(await execute(alice, 'echo reached'), 'reached');
    assert.equal(alice.address.port, 8000);
    // A neighbour in that network (as Terminals in a container is one) reaches it by its name.
    const bob = await backend.create(place.desired('bob'), quiet, never);
    assert.equal(await connect(bob, alice.name, 8000), 'open');
  });

  test('of several networks a terminal is always in the same, and not all are in one', async (t) => {
    const place = await placeFor(t);
    const networks = [await networkFor(t), await networkFor(t)];
    const networkOf = async (user: string) => {
      const { name, key } = await place.backend({ networks }).create(place.desired(user), quiet, never);
      const { NetworkMode } = (await docker.getContainer(name).inspect()).HostConfig;
      await place.backend().remove(key, { files: false }, never);
      return NetworkMode;
    };
    const first = await networkOf('alice');
    assert.ok(first && networks.includes(first));
    assert.equal(await networkOf('alice'), first);
  });
});

describe('egress', { skip: await withoutDocker() }, () => {
  const inspectOf = async ({ name }: RunningTerminal) => docker.getContainer(name).inspect();

  test('is not restricted, and has no right to change the network, where the policy says nothing', async (t) => {
    const place = await placeFor(t);
    const alice = await place.backend().create(place.desired('alice'), quiet, never);
    const { Config, HostConfig } = await inspectOf(alice);
    assert.ok(!Config.Env.some((variable) => variable.startsWith('OPEN_TERMINAL_ALLOWED_DOMAINS')));
    assert.deepEqual(HostConfig.CapAdd ?? [], []);
    assert.match(
      await execute(alice, 'sudo iptables -L 2>&1 || true'),
      /denied|not found|not permitted|Operation/i,
    );
  });

  for (const [domains, value] of [
    [['example.org', '*.example.net'], 'example.org,*.example.net'],
    [[], ''],
  ] as const) {
    test(`to ${value || 'nowhere'} is set up by Open Terminal, which gets NET_ADMIN for it`, async (t) => {
      const place = await placeFor(t);
      const desired = place.desired('alice', { egress: { allowedDomains: domains } });
      const alice = await place.backend().create(desired, quiet, never);
      const { Config, HostConfig } = await inspectOf(alice);
      assert.ok(Config.Env.includes(`OPEN_TERMINAL_ALLOWED_DOMAINS=${value}`));
      assert.deepEqual(HostConfig.CapAdd, ['NET_ADMIN']);
      // It is reached as ever, and gets nowhere itself: not even to the engine's own bridge.
      const { Gateway: gateway = '' } =
        Object.values((await inspectOf(alice)).NetworkSettings.Networks)[0] ?? {};
      assert.notEqual(await connect(alice, gateway, 22), 'open');
      assert.equal(await connect(alice, '192.0.2.1', 80), 'TimeoutError');
      assert.match(await execute(alice, 'sudo iptables -F 2>&1; echo code $?'), /code [^0]/);
    });
  }
});
