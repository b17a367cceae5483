/**
 * The program as `terminals serve` runs it, with workers as processes of their own, over a backend in memory whose terminals
 * are all one server of the test's. A worker runs this file as well.
 */
import assert from 'node:assert/strict';
import cluster from 'node:cluster';
import { once } from 'node:events';
import { formatProblem, loadConfig } from '../../src/config.ts';
import { createLogger } from '../../src/log.ts';
import { Program } from '../../src/program.ts';
import { WorkerProgram } from '../../src/worker-program.ts';
import { Primary, type PrimaryOptions } from '../../src/workers/primary.ts';
import { MemoryBackend } from '../reconcile/memory-backend.ts';

const stopping = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stopping.abort());

const loaded = loadConfig(process.env, { dev: false });
if (!loaded.ok) assert.fail(loaded.problems.map(formatProblem).join('\n'));
const { config } = loaded;
const log = await createLogger({ level: config.logLevel, pretty: false, shared: true });
const { TERMINALS_TEST_HUNG_MS: hungMs } = process.env;

class ImpatientPrimary extends Primary {
  constructor(options: PrimaryOptions) {
    super(hungMs === undefined ? options : { ...options, hungMs: Number(hungMs) });
  }
}

if (cluster.worker) {
  const { worker } = cluster;
  await new WorkerProgram({ config, log: log.child({ worker: worker.id }), worker }).run();
  worker.disconnect();
} else {
  const port = Number(process.env.TERMINALS_TEST_UPSTREAM);
  const backend = new MemoryBackend(() => ({ host: '127.0.0.1', port }));
  const parts = { config, backend, log, Primary: ImpatientPrimary };
  const program = new Program({ ...parts, cwd: process.cwd(), version: '1.2.3' });
  try {
    log.info({ url: await program.start() }, 'listening');
    if (!stopping.signal.aborted) await once(stopping.signal, 'abort');
  } catch (error) {
    log.error({ err: error }, 'not started');
    process.exitCode = 1;
  } finally {
    await program.close();
  }
}
