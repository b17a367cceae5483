/** `terminals plan`: what the policies would change about the terminals there are, before they do. @module */
import { createLogger } from '../log.ts';
import { windowOpensAt } from '../policy/schedule.ts';
import { ActivityStore } from '../reconcile/activity-store.ts';
import { Templates } from '../reconcile/templates.ts';
import { type FieldChange, type Plan, planTerminal } from '../terminal/plan.ts';
import type { Actual } from '../terminal/terminal.ts';
import type { Command, Io } from './command.ts';
import { stateHelp, stateOptions } from './configuration.ts';
import { readPolicySet } from './policy-set.ts';
import { listTerminals, withBackend } from './terminals.ts';

interface Row {
  readonly terminal: string;
  readonly user: string;
  readonly policy: string;
  readonly phase: Actual['phase'];
  readonly steps: readonly Step[];
}

interface Step {
  readonly action: string;
  /** 'now', 'at the next start', or an ISO time. */
  readonly when: string;
  readonly reason: string;
  readonly changes: readonly FieldChange[];
}

export const plan: Command = {
  name: 'plan',
  summary: 'say what would change, per terminal, with reasons',
  help: `Usage: terminals plan [--json] [OPTIONS]

Compares the policies with the terminals there are and says what the running server would do to each, when, and why:
update in place, replace, stop. Nothing is changed, and no server need run.

Options:
  --json            as JSON
${stateHelp}
Exit codes: 0 done, 1 it failed or a policy has errors, 2 the call's words are off.
`,
  options: { json: { type: 'boolean' }, ...stateOptions },
  run: (values, _positionals, io) =>
    withBackend(values, io, async (backend, config) => {
      const { set, faulty } = await readPolicySet(config, io);
      if (faulty) {
        io.err('There is no plan while policies have errors; what runs stays as it is.\n');
        return 1;
      }
      const templates = new Templates(backend.platform);
      const now = Date.now();
      const log = await createLogger({ level: 'silent', pretty: false });
      const activity = await (backend.activity ?? new ActivityStore(config.dataDir, log)).load(now);
      const rows = (await listTerminals(backend, io.signal)).map((actual): Row => {
        const policy = set.policies.get(actual.key.policy);
        const template = policy && templates.of(policy);
        const window = template?.rollout.window;
        const planned = planTerminal({
          desired: template && { key: actual.key, name: actual.name, ...template },
          actual,
          requested: false,
          activity: {
            lastActivityAt: actual.lastActivityAt ?? activity.lastActivityAt(actual.name) ?? now,
            inFlight: 0,
          },
          driftedSince: null,
          windowOpensAt: window ? windowOpensAt(window, now) : now,
          now,
        });
        return rowOf(actual, planned);
      });
      if (values.json) io.out(`${JSON.stringify(rows, null, 2)}\n`);
      else print(rows, io);
      return 0;
    }),
};

function rowOf({ name, key, phase }: Actual, { action, deferred }: Plan): Row {
  const first: Step[] =
    action.kind === 'none'
      ? []
      : [
          {
            action: wording[action.kind],
            when: 'now',
            reason: action.reason,
            changes: 'changes' in action ? action.changes : [],
          },
        ];
  const later = deferred.map(({ kind, at, reason, changes }) => ({
    action: wording[kind],
    when: at === null ? 'at the next start' : new Date(at).toISOString(),
    reason,
    changes,
  }));
  return { terminal: name, user: key.user, policy: key.policy, phase, steps: [...first, ...later] };
}

const wording = {
  create: 'create',
  start: 'start',
  stop: 'stop',
  update: 'update in place',
  replace: 'replace',
  delete: 'delete with its home',
  refuse: 'refuse',
} as const;

/** The end of what nobody uses is the ordinary course; what comes from a changed policy is a change. */
function isChange({ action }: Step): boolean {
  return action !== wording.stop && action !== wording.delete;
}

function print(rows: readonly Row[], io: Io): void {
  const colour = (code: number, text: string) => (io.colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  let changed = 0;
  for (const { terminal, user, policy, phase, steps } of rows) {
    if (steps.some(isChange)) changed += 1;
    io.out(`${terminal} (user ${user}, policy ${policy}, ${phase})\n`);
    if (steps.length === 0) io.out('  nothing to do\n');
    for (const step of steps) {
      const text = `${step.action} ${step.when === 'now' || step.when.startsWith('at') ? step.when : `at ${step.when}`}`;
      io.out(`  ${isChange(step) ? colour(33, text) : text}: ${step.reason}\n`);
      for (const { field, from, to } of step.changes)
        io.out(`      ${field}: ${from ?? '(none)'} → ${to ?? '(none)'}\n`);
    }
  }
  io.out(`${rows.length} terminal${rows.length === 1 ? '' : 's'}, ${changed} to change\n`);
}
