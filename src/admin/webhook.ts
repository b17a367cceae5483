/**
 * `POST /api/v1/webhooks/git`: the repository of the policies says that something was pushed. Who calls proves that it knows
 * the secret of the webhook, as GitHub, Gitea, Forgejo and Bitbucket (a signature of the body) and GitLab (a token) do it.
 * @module
 */
import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Audit } from '../audit.ts';
import { BadRequestError, UnauthenticatedError } from '../errors.ts';
import { SharedKeys } from '../identity/keys.ts';
import { adminPrefix } from './api.ts';

export interface WebhookOptions {
  /** null: there is no such webhook. */
  readonly secret: { reveal(): string } | null;
  /** Reads the policies anew. */
  readonly reload: () => Promise<void>;
  readonly audit: Audit;
  readonly log: Logger;
}

/** GitHub sends no more; it is never kept in memory. */
const mostBytes = 25 * 1024 * 1024;

/** Answers before the policies are read, since who calls waits for ten seconds at most. */
export function webhookRoute(app: FastifyInstance, { secret, reload, audit, log }: WebhookOptions): void {
  if (secret === null) return;
  void app.register(async (own) => {
    // The signature is one of the bytes as they came.
    own.removeAllContentTypeParsers();
    own.addContentTypeParser('*', (_request, body, done) => done(null, body));
    own.post(`${adminPrefix}/webhooks/git`, { bodyLimit: mostBytes }, async (request, reply) => {
      if (!(await isVerified(request.headers, request.raw, secret.reveal()))) {
        const error = new UnauthenticatedError(
          'The webhook is not signed with the right secret.',
          'Give it the secret that is in TERMINALS_POLICIES_GIT_WEBHOOK_SECRET.',
        );
        audit.refused(error, { user: undefined, requestId: request.id });
        throw error;
      }
      log.info({ requestId: request.id }, 'webhook: the policies are read anew');
      void reload();
      return reply.code(202).send({ status: 'accepted' });
    });
  });
}

/** @throws BadRequestError where the body is too long */
async function isVerified(headers: IncomingHttpHeaders, body: Readable, secret: string): Promise<boolean> {
  const signature = createHmac('sha256', secret);
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > mostBytes) throw new BadRequestError('The webhook says too much.', 'It may have 25 MiB.');
    signature.update(chunk);
  }
  const token = headers['x-gitlab-token'];
  if (typeof token === 'string') return new SharedKeys([secret]).accepts(token);
  const sent = headers['x-hub-signature-256'] ?? headers['x-hub-signature'];
  return typeof sent === 'string' && new SharedKeys([`sha256=${signature.digest('hex')}`]).accepts(sent);
}
