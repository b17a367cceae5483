/** The policies in force, for Open WebUI's connection check and for administrators. @module */
import type { FastifyInstance } from 'fastify';
import type { Authenticator } from '../identity/identity.ts';
import type { PolicySet } from '../policy/policy.ts';
import { credentialsOf } from '../proxy/credentials.ts';

export interface PolicyRoutesOptions {
  readonly authenticator: Authenticator;
  readonly policies: { readonly current: PolicySet };
}

/** `GET /api/v1/policies`: Open WebUI's verify button takes a 2xx here as the sign of an orchestrator. */
export function policyRoutes(app: FastifyInstance, { authenticator, policies }: PolicyRoutesOptions): void {
  app.get('/api/v1/policies', async (request) => {
    await authenticator.admit(credentialsOf(request.raw, null));
    return [...policies.current.policies.values()].map(({ id, spec, declaredAt }) => ({
      id,
      spec,
      declared_at: `${declaredAt.file}:${declaredAt.line}`,
    }));
  });
}
