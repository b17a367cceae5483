/** Liveness, readiness, and what this is. @module */
import type { FastifyInstance } from 'fastify';
import type { BackendKind } from '../backend/backend.ts';

export interface HealthOptions {
  readonly version: string;
  readonly backend: BackendKind;
  /** What the backend can't enforce, in words: some of it is known only once the engine has answered. */
  readonly unenforced: () => readonly string[];
  /** Why it is not ready; empty when it is. */
  readonly notReady: () => readonly string[];
}

/** `GET /health`: the process lives. `GET /ready`: it can serve. `GET /info`: what this is, its version. None needs a key. */
export function healthRoutes(app: FastifyInstance, options: HealthOptions): void {
  app.get('/health', () => ({ status: 'ok' }));
  app.get('/ready', (_request, reply) => {
    const reasons = options.notReady();
    return reply.code(reasons.length === 0 ? 200 : 503).send({ ready: reasons.length === 0, reasons });
  });
  app.get('/info', () => ({
    name: 'terminals',
    description:
      'Policy-driven controller and proxy that gives every Open WebUI user their own Open Terminal',
    version: options.version,
    backend: options.backend,
    unenforced: options.unenforced(),
  }));
}
