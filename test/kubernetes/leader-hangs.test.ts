import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leases, runAsLeader } from '../../src/kubernetes/leader.ts';
import { quiet, until } from '../operator/cluster.ts';
import { apiServer, json } from './api-server.ts';

const times = { leaseMs: 2_000, renewWithinMs: 600, retryMs: 400 };
const names = { namespace: 'n', name: 'test', identity: 'a' };

test('a leader whose renewal gets no answer stops within the time that it may lead without one', async (t) => {
  let writtenAt: number | null = null;
  let hangs = false;
  const { kind, apiVersion } = leases;
  const lease = { kind, apiVersion, metadata: { name: 'test' }, spec: { holderIdentity: 'a' } };
  const { client } = await apiServer(t, ({ method }, response) => {
    if (hangs) return;
    if (method !== 'GET') writtenAt = performance.now();
    if (writtenAt === null) json(response, { kind: 'Status', message: 'none' }, 404);
    else json(response, lease);
  });
  const stopping = new AbortController();
  let leads = false;
  const lead = async (leading: AbortSignal) => {
    leads = true;
    await new Promise((resolve) => leading.addEventListener('abort', resolve, { once: true }));
    leads = false;
  };
  const ended = runAsLeader({ client, ...names, ...times, log: quiet }, lead, stopping.signal);
  t.after(async () => {
    stopping.abort();
    await ended;
  });
  await until(() => leads);
  hangs = true;
  await until(() => !leads);
  const ledMs = performance.now() - (writtenAt ?? 0);
  assert.ok(ledMs < times.renewWithinMs + 250, `it led for ${Math.round(ledMs)} ms after its last renewal`);
});
