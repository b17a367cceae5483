/** Which backend the configuration asks for. @module */
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import type { Backend } from './backend.ts';

/** The backend, and only that, is loaded; `auto` is Docker where an engine answers, else processes, which is said in one line. */
export async function chooseBackend(
  config: Config,
  environment: Readonly<Record<string, string | undefined>>,
  log: Logger,
): Promise<Backend> {
  const { dataDir, networks, publishHost, mounts, secretsDir } = config;
  if (config.backend === 'kubernetes-operator') return kubernetesBackend(config, log);
  if (config.backend !== 'process') {
    const { DockerBackend } = await import('./docker/docker-backend.ts');
    const { dockerAnswers } = await import('./docker/engine.ts');
    if (config.backend === 'docker' || (await dockerAnswers())) {
      return new DockerBackend({ dataDir, networks, publishHost, mounts, secretsDir, log });
    }
    log.warn(
      'no Docker engine answers: terminals run as processes of this machine, for trying out, not for isolation',
    );
  }
  const { ProcessBackend } = await import('./process/process-backend.ts');
  return new ProcessBackend({ dataDir, environment, secretsDir, log });
}

/** The client library takes a while to load. */
async function kubernetesBackend({ kubernetes }: Config, log: Logger): Promise<Backend> {
  const { connect } = await import('../kubernetes/connect.ts');
  const { KubernetesBackend } = await import('./kubernetes/kubernetes-backend.ts');
  const { client, namespace } = connect(kubernetes);
  const { address, pods, lease: name } = kubernetes;
  return new KubernetesBackend({ client, namespace, address, pods, replicas: { name }, log });
}
