/** A process that bakes the workload of its argument, to be killed in the middle of it. @module */
import { DockerBackend } from '../../../src/backend/docker/docker-backend.ts';
import type { Workload } from '../../../src/terminal/terminal.ts';
import { never, quiet, silent } from './engine.ts';

const workload: Workload = JSON.parse(process.argv[2] ?? '{}');
const options = { dataDir: '/nowhere', networks: [], publishHost: '127.0.0.1', mounts: [], log: silent };
await new DockerBackend(options).prepare(workload, quiet, never);
