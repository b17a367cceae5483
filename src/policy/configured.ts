/**
 * Where policies come from, and what holds for all of them, as the configuration says it.
 * @module
 */
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { builtinPolicy } from './builtin.ts';
import { ConfigMapSource } from './config-map.ts';
import { DirectorySource } from './directory.ts';
import { GitSource, gitDirectory } from './git.ts';
import type { PolicySource } from './policy.ts';
import type { PolicyRules } from './policy-set.ts';

/**
 * Where policies come from by this configuration.
 * @param leads whether this process is the one that tells, at the source, what became of them; absent: it is
 */
export function policySource(
  config: Config,
  cwd: string,
  log: Logger,
  leads: () => boolean = () => true,
): PolicySource {
  const { policiesConfigMap: from, kubernetes } = config;
  if (from !== null) {
    // Loaded only here: the client library takes a while.
    const connect = async () => (await import('../kubernetes/connect.ts')).connect(kubernetes);
    return new ConfigMapSource({ from, connect, log, leads });
  }
  if (config.policiesGit !== null) {
    return new GitSource({ ...config.policiesGit, directory: gitDirectory(config.dataDir) });
  }
  if (config.policiesDir !== null) return new DirectorySource(config.policiesDir, cwd);
  return { description: 'the built-in policy', read: async () => [], watch: () => undefined };
}

/** What the configuration says about policies. */
export function policyRules(config: Config): PolicyRules {
  const { image, idleTimeoutMinutes, maxCpuMillis, maxMemoryBytes, allowedImages } = config;
  const { persistence } = config.kubernetes;
  return {
    defaults: { image, persistence, ...(config.idleTimeoutIsSet ? { idleTimeoutMinutes } : {}) },
    builtin: builtinPolicy({ image, persistence, idleTimeoutMinutes }),
    maxCpuMillis,
    maxMemoryBytes,
    allowedImages,
    mode: 'run',
  };
}
