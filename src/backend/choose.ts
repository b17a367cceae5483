/** Which backend the configuration asks for. @module */
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import type { Backend } from './backend.ts';
import { DockerBackend } from './docker/docker-backend.ts';
import { dockerAnswers } from './docker/engine.ts';
import { ProcessBackend } from './process/process-backend.ts';

/** The backend; `auto` is Docker where an engine answers, else processes, which is said in one line. */
export async function chooseBackend(
  config: Config,
  environment: Readonly<Record<string, string | undefined>>,
  log: Logger,
): Promise<Backend> {
  const { dataDir, networks, publishHost, mounts } = config;
  const docker = () => new DockerBackend({ dataDir, networks, publishHost, mounts, log });
  const processes = () => new ProcessBackend({ dataDir, environment, log });
  switch (config.backend) {
    case 'docker':
      return docker();
    case 'process':
      return processes();
    case 'auto':
      if (await dockerAnswers()) return docker();
      log.warn('no Docker engine answers: terminals run as processes of this machine, for trying out, not for isolation');
      return processes();
  }
}
