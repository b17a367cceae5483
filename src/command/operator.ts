/** `terminals operator`: makes Terminal resources what they declare. @module */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Kubernetes } from '../config.ts';
import { createLogger } from '../log.ts';
import { operatorDefaults } from '../operator/defaults.ts';
import type { Operator, OperatorOptions } from '../operator/operator.ts';
import type { Command } from './command.ts';
import { readStateConfig } from './configuration.ts';

export const operator: Command = {
  name: 'operator',
  summary: 'run the operator of Terminal resources (Kubernetes)',
  help: `Usage: terminals operator

Keeps the Pods, Services, Secrets, volumes and network policies of the Terminal resources in
TERMINALS_KUBERNETES_NAMESPACE, until SIGTERM or SIGINT; terminals go on running. Of several replicas one works.
GET /health and /ready are on port 8081 (TERMINALS_OPERATOR_PORT).

Options:
  -h, --help        this text

Exit codes: 0 ended by a signal, 1 it could not start, 2 the call's words are off.
`,
  options: {},
  async run(values, _positionals, io) {
    const { kubernetes, logLevel } = readStateConfig(values, io);
    const log = await createLogger({ level: logLevel, pretty: process.stdout.isTTY === true });
    // Loaded only here: the client library takes a while.
    const { connect } = await import('../kubernetes/connect.ts');
    const { startOperator } = await import('../operator/operator.ts');
    const { config: kubeConfig, client, namespace } = connect(kubernetes);
    await client.close();
    const running = startOperator({ kubeConfig, log, ...optionsOf(kubernetes, namespace) });
    const server = await listen(running, kubernetes.operator.port);
    try {
      const { port } = server.address() as AddressInfo;
      log.info({ namespace, port }, 'operator started');
      if (!io.signal.aborted) await once(io.signal, 'abort');
      log.info('shutting down');
    } finally {
      await running.stop();
      server.close();
    }
    return 0;
  },
};

function optionsOf(
  { operator: own, pods }: Kubernetes,
  namespace: string,
): Pick<OperatorOptions, 'namespace' | 'leaderElection' | 'defaults'> {
  const { storageClass, imagePullPolicy, imagePullSecrets, orchestratorNamespace } = own;
  return {
    namespace: own.allNamespaces ? undefined : namespace,
    leaderElection: own.leaderElection ? { namespace, name: own.lease } : null,
    defaults: {
      pods,
      imagePullPolicy,
      imagePullSecrets,
      ...(storageClass === null ? {} : { storageClass }),
      ...(orchestratorNamespace === null
        ? {}
        : { orchestrator: { ...operatorDefaults.orchestrator, namespace: orchestratorNamespace } }),
    },
  };
}

/** Alive as long as it answers; ready when everything was listed once, leading or not. */
async function listen(running: Operator, port: number): Promise<Server> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    const { synced } = running.state;
    const status = path === '/health' ? 200 : path !== '/ready' ? 404 : synced ? 200 : 503;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(`${JSON.stringify(status === 404 ? { status: 'not found' } : running.state)}\n`);
  });
  server.listen(port);
  await once(server, 'listening');
  return server;
}
