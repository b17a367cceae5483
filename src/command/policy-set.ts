/** The policies that commands look at: read once, their problems said. @module */
import type { Config } from '../config.ts';
import { createLogger } from '../log.ts';
import { policyRules, policySource } from '../policy/configured.ts';
import type { PolicySet } from '../policy/policy.ts';
import { buildPolicySet } from '../policy/policy-set.ts';
import { problemText } from '../policy/store.ts';
import { policyMemory } from '../policy-file.ts';
import type { Io } from './command.ts';

/** The policy set as a server would have it after a start, and whether something in it has errors. */
export async function readPolicySet(
  config: Config,
  io: Io,
): Promise<{ readonly set: PolicySet; readonly faulty: boolean }> {
  const log = await createLogger({ level: 'silent', pretty: false });
  const source = policySource(config, io.cwd, log);
  const rules = policyRules(config);
  const before = await policyMemory(config, source, log).load(rules);
  const set = buildPolicySet(await source.read(), before, rules);
  for (const problem of set.problems) io.err(`${problemText(problem)}\n`);
  return { set, faulty: set.problems.some(({ severity }) => severity === 'error') };
}
