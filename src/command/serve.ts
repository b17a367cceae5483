/** `terminals serve`: the controller and the proxy. @module */
import type { Worker } from 'node:cluster';
import { once } from 'node:events';
import type { Logger } from 'pino';
import type { Backend } from '../backend/backend.ts';
import { chooseBackend } from '../backend/choose.ts';
import type { Config } from '../config.ts';
import { createLogger } from '../log.ts';
import { version } from '../main.ts';
import { builtinPolicy } from '../policy/builtin.ts';
import { Program } from '../program.ts';
import { renderWorkload } from '../terminal/desired.ts';
import type { Command, Io } from './command.ts';
import { configFlags, configHelp, readConfig } from './configuration.ts';

export const serve: Command = {
  name: 'serve',
  summary: 'run the controller and the proxy',
  help: `Usage: terminals serve [--dev] [OPTIONS]

Reads the policies, keeps the terminals as they declare, and serves Open WebUI, until SIGTERM or SIGINT.

Options (each wins over its variable):
  --dev             for trying out: backend auto, on 127.0.0.1, a key made if none is set; prints a line to try
${configHelp}
Exit codes: 0 ended by a signal, 1 it could not start, 2 the call's words are off.
`,
  options: { dev: { type: 'boolean' }, ...configFlags },
  async run(values, _positionals, io) {
    const dev = values.dev === true;
    const worker = await asWorker();
    // What there is to warn of, the primary has.
    const config = readConfig(values, worker ? { ...io, err: () => undefined } : io, dev);
    const log = await createLogger({
      level: config.logLevel,
      pretty: process.stdout.isTTY === true,
      shared: config.workers > 1,
    });
    if (worker) return work(worker, config, log);
    const backend = await chooseBackend(config, io.env, log);
    if (backend.kind === 'process') await install(backend, io);

    const options = { config, backend, log, cwd: io.cwd, version: version() };
    const workers = config.workers > 1 ? await import('../workers/primary.ts') : {};
    const program = new Program({ ...options, ...workers });
    try {
      const url = await program.start().catch((error: unknown) => {
        throw listenError(error, config);
      });
      log.info({ url, backend: backend.kind, version: version() }, 'listening');
      if (dev) io.out(welcome(url, config, backend, program));
      if (!io.signal.aborted) await once(io.signal, 'abort');
      log.info('shutting down');
    } finally {
      await program.close();
    }
    return 0;
  },
};

/** In words that say what to do, where the address is what it failed by. */
function listenError(error: unknown, { host, port }: Config): unknown {
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return error;
  if (error.syscall !== 'listen') return error;
  const words: Readonly<Record<string, string>> = {
    EADDRINUSE: `something listens at ${host}:${port} already: end it, or choose another port (TERMINALS_PORT)`,
    EACCES: `this user may not listen at port ${port}: choose one from 1024 on (TERMINALS_PORT)`,
    EADDRNOTAVAIL: `this machine has no address ${host}: set TERMINALS_HOST to one that it has, or to 0.0.0.0 for all`,
  };
  const said = words[String(error.code)];
  return said === undefined ? error : new Error(said, { cause: error });
}

/** This process as one of another's workers; undefined: it is none. */
async function asWorker(): Promise<Worker | undefined> {
  return process.connected ? (await import('node:cluster')).default.worker : undefined;
}

/** Signals are the primary's to heed, which has its workers end in order. */
async function work(worker: Worker, config: Config, log: Logger): Promise<number> {
  const { WorkerProgram } = await import('../worker-program.ts');
  await new WorkerProgram({ config, log: log.child({ worker: worker.id }), worker }).run();
  worker.disconnect();
  return 0;
}

/** The first start installs Open Terminal, which takes a while: somebody looks on. */
async function install(backend: Backend, io: Io): Promise<void> {
  const workload = renderWorkload(builtinPolicy({}).spec);
  await backend.prepare(workload, (detail) => io.err(`${detail}\n`), io.signal);
}

function welcome(url: string, config: Config, backend: Backend, { policies }: Program): string {
  const names = [...policies.current.policies.keys()].join(', ');
  const { auth } = config;
  const key = auth.mode === 'key' ? (auth.keys[0]?.reveal() ?? '<token>') : null;
  const made =
    auth.mode === 'key' && auth.made ? ' (made for this run; set TERMINALS_API_KEY to keep one)' : '';
  const header = key === null ? '' : ` -H 'Authorization: Bearer ${key}'`;
  return `
Terminals listens on ${url} (backend ${backend.kind})
Policies: ${names}
Key:      ${key === null ? 'none needed' : `${key}${made}`}

Run a command in alice's own terminal:
  curl -s${header} -H 'X-User-Id: alice' -H 'Content-Type: application/json' -d '{"command":"whoami && hostname"}' '${url}/execute?wait=5'

`;
}
