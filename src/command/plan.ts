/** `terminals plan`: what the policies would change, before they do. @module */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Logger } from 'pino';
import type { Backend } from '../backend/backend.ts';
import type { Config } from '../config.ts';
import { createLogger } from '../log.ts';
import { readPaths } from '../policy/directory.ts';
import type { PolicySet } from '../policy/policy.ts';
import { windowOpensAt } from '../policy/schedule.ts';
import { problemText } from '../policy/store.ts';
import { ActivityStore } from '../reconcile/activity-store.ts';
import { hasChanges, type PlanReport, planReport } from '../reconcile/plan-report.ts';
import { ResetStore } from '../reconcile/reset-store.ts';
import { Resets } from '../reconcile/resets.ts';
import { Templates } from '../reconcile/templates.ts';
import { isNobody } from '../terminal/names.ts';
import { type Command, type Io, type OptionValues, UsageError } from './command.ts';
import { stateHelp, stateOptions } from './configuration.ts';
import { noPlan, planMarkdown } from './plan-markdown.ts';
import { planText } from './plan-text.ts';
import { readPolicySet } from './policy-set.ts';
import { type Server, serverHelp, serverOf, serverOptions } from './server.ts';
import { listTerminals, withBackend } from './terminals.ts';

const formats = ['text', 'json', 'markdown'] as const;
type Format = (typeof formats)[number];

export const plan: Command = {
  name: 'plan',
  summary: 'say what would change, per policy and per terminal, with reasons',
  help: `Usage: terminals plan [DIR] [--format text|json|markdown] [OPTIONS]
       terminals plan [PATH…] --server URL [--format text|json|markdown]

Says what the policies would change, before they do: per policy field by field, per terminal what would be done, when,
and why. Nothing is changed. With --server a running server is asked: what it is about to do, or, with PATHs, what
those policy files and folders would change in place of all that are in force. Without one, policies (of DIR, or as
configured) are compared with the terminals there are, straight from the backend; no server need run.

Options:
${serverHelp}  --format FORMAT   text (default), json, or markdown (for a pull request: names no user)
  --json            the same as --format json
${stateHelp}
Exit codes: 0 nothing changes, 1 it failed, a policy has errors, or the call's words are off, 2 there are changes.
`,
  words: true,
  options: {
    format: { type: 'string' },
    json: { type: 'boolean' },
    ...serverOptions,
    ...stateOptions,
  },
  // 2 says that there are changes, as it does for others who plan.
  usageExitCode: 1,
  async run(values, positionals, io) {
    const format = formatOf(values);
    const server = serverOf(values, io);
    if (server !== null) refuseBoth(values);
    const report =
      server === null ? await planHere(positionals, values, io) : await planThere(server, positionals, io);
    const faulty = report.problems.some(({ severity }) => severity === 'error');
    // Without a server nobody knows what was in force before the errors.
    print(report, format, server !== null || !faulty, io);
    if (faulty) return 1;
    return hasChanges(report) ? 2 : 0;
  },
};

function formatOf({ format, json }: OptionValues): Format {
  const named = format ?? (json ? 'json' : 'text');
  const known = formats.find((each) => each === named);
  if (known === undefined) throw new UsageError(`--format takes ${formats.join(', ')}, not "${named}"`);
  return known;
}

function refuseBoth(values: OptionValues): void {
  const flag = Object.keys(stateOptions).find((name) => values[name] !== undefined);
  if (flag !== undefined) throw new UsageError(`--${flag} means nothing to a server; leave it out`);
}

/** @throws ServerError, UsageError */
async function planThere(server: Server, paths: readonly string[], io: Io): Promise<PlanReport> {
  if (paths.length === 0) return (await server.call('GET', '/plan')) as PlanReport;
  const files = (await readPaths(paths, io.cwd)).map((file) => {
    if ('text' in file) return file;
    throw new UsageError(`${file.path} can't be read: ${file.unreadable}`);
  });
  return (await server.call('POST', '/plan', { files })) as PlanReport;
}

/** Policies and terminals as they are, without a server. Broken policies have no plan: what ran last is not known here. */
function planHere([directory, ...more]: readonly string[], given: OptionValues, io: Io): Promise<PlanReport> {
  if (more.length > 0) throw new UsageError('without --server, plan takes one directory');
  if (directory !== undefined && given.policies !== undefined) {
    throw new UsageError('name the directory once: as DIR, or by --policies');
  }
  if (directory !== undefined && !existsSync(path.resolve(io.cwd, directory))) {
    throw new UsageError(`there is no directory ${directory}`);
  }
  const values = directory === undefined ? given : { ...given, policies: directory };
  return withBackend(values, io, async (backend, config) => {
    const { set, faulty } = await readPolicySet(config, { ...io, err: () => undefined });
    const templates = new Templates(backend.platform);
    const now = Date.now();
    const log = await createLogger({ level: 'silent', pretty: false });
    const activity = await (backend.activity ?? new ActivityStore(config.dataDir, log)).load(now);
    const resets = await resetsOf(backend, config, set, log);
    const all = faulty ? [] : await listTerminals(backend, io.signal);
    const terminals = all.filter(({ key }) => !isNobody(key.user));
    return planReport({
      after: { set, templateOf: (policy) => templates.of(policy) },
      before: null,
      terminals: terminals.map((actual) => ({
        key: actual.key,
        name: actual.name,
        actual,
        driftedSince: null,
        lastActivityAt: actual.lastActivityAt ?? activity.lastActivityAt(actual.name) ?? now,
        inFlight: 0,
      })),
      opensAt: windowOpensAt,
      resetAt: (policy, name, kept) => resets.foresee(policy, name, kept),
      now,
    });
  });
}

/** What the server remembers of them, which is left as it is. */
async function resetsOf(backend: Backend, { dataDir }: Config, set: PolicySet, log: Logger): Promise<Resets> {
  const saved = new ResetStore(dataDir, log);
  const store = { load: () => saved.load(), save: async () => undefined, saved: async () => undefined };
  const resets = new Resets({ store, supported: backend.reset !== undefined, log });
  await resets.load(set);
  return resets;
}

function print(report: PlanReport, format: Format, planned: boolean, io: Io): void {
  if (format === 'json') io.out(`${JSON.stringify(report, null, 2)}\n`);
  else if (format === 'markdown') io.out(planMarkdown(report, planned));
  else {
    for (const problem of report.problems) io.err(`${problemText(problem)}\n`);
    if (planned) io.out(planText(report, io));
    else io.err(`${noPlan}\n`);
  }
}
