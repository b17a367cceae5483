/** Creates one terminal, to be killed while it does; says when it begins. @module */
import { ProcessBackend } from '../../../src/backend/process/process-backend.ts';
import { desired, never, quiet, silent } from './open-terminal.ts';

const [, , dataDir = '', user = ''] = process.argv;
const backend = new ProcessBackend({ dataDir, environment: process.env, log: silent });
const wanted = desired(user);
await backend.prepare(wanted.workload, quiet, never);
process.stdout.write('begins\n');
await backend.create(wanted, quiet, never);
setInterval(quiet, 60_000);
