import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BulkGarbage } from '../../src/proxy/bulk-garbage.ts';

const MiB = 1024 * 1024;
const pieceBytes = 64 * 1024;

/** The most that pieces of so many bytes hold at once, each left as soon as it was there. */
function mostHeld(bytes: number, passed: (bytes: number) => void): number {
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  for (let done = 0; done < bytes; done += pieceBytes) {
    Buffer.allocUnsafeSlow(pieceBytes).fill(1, 0, 1);
    passed(pieceBytes);
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  return most;
}

test('what has passed in bulk is freed long before all of it has', () => {
  const garbage = new BulkGarbage();
  const held = mostHeld(256 * MiB, (bytes) => garbage.passed(bytes));
  assert.ok(held < 32 * MiB, `${held / MiB} MiB were held at once`);
});

test('nobody can call for it by a global', () => {
  new BulkGarbage().passed(64 * MiB);
  assert.equal('gc' in globalThis, false);
});
