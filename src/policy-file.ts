/** Where the policies in force are kept for the next start: `.terminals/policies.json` below the data directory. @module */
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import type { PolicySource } from './policy/policy.ts';
import { PolicyMemory } from './policy/policy-memory.ts';
import { HintFile } from './reconcile/hint-file.ts';

export function policyMemory(
  { dataDir, policiesGit }: Config,
  source: PolicySource,
  log: Logger,
): PolicyMemory {
  return new PolicyMemory({
    file: new HintFile(dataDir, 'policies.json', 'policies', log),
    from: source.description,
    signersFile: policiesGit?.verifyFile ?? null,
  });
}
