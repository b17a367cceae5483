import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyText } from '../policy/fixtures.ts';
import { RawClient } from '../proxy/stack.ts';
import { adminKey, adminStack } from './admin.ts';

/** As `curl -X` sends it with a type of JSON, which many put into every call. */
const cases: readonly (readonly [call: string, status: number])[] = [
  ['POST /api/v1/reconcile', 200],
  ['POST /api/v1/policies/data/retry', 200],
  ['POST /api/v1/terminals/stop', 400],
  ['PUT /api/v1/policies/data', 400],
  ['DELETE /api/v1/policies/data', 200],
];
for (const length of [[], ['Content-Length: 0']]) {
  test(`a call that says JSON and sends nothing, ${length[0] ?? 'without a length'}, is one without a body`, async (t) => {
    const { port } = await adminStack(t, {
      env: { TERMINALS_POLICY_WRITES: 'true' },
      files: { 'data.yaml': policyText('data') },
    });
    for (const [call, status] of cases) {
      const client = await RawClient.connect(t, { port });
      const headers = [`Authorization: Bearer ${adminKey}`, 'Content-Type: application/json', ...length];
      client.write([`${call} HTTP/1.1`, 'Host: x', ...headers, 'Connection: close', '', ''].join('\r\n'));
      await client.untilEnd();
      assert.match(client.received, new RegExp(`^HTTP/1\\.1 ${status} `), `${call}: ${client.received}`);
    }
  });
}
