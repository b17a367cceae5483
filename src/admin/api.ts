/**
 * The admin API under /api/v1: who may, what is checked, one log line a request.
 * @module
 */
import { createRequire } from 'node:module';
import type { ValidateFunction } from 'ajv';
import type * as Ajv from 'ajv/dist/2020.js';
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchemaValidationError } from 'fastify';
import type { Logger } from 'pino';
import type { Audit } from '../audit.ts';
import type { Backend } from '../backend/backend.ts';
import { BadRequestError, ForbiddenError, UnauthenticatedError } from '../errors.ts';
import type { PolicySet } from '../policy/policy.ts';
import type { PolicyRules } from '../policy/policy-set.ts';
import type { PolicyWriter } from '../policy/policy-writer.ts';
import type { UnknownGroups } from '../policy/selection.ts';
import { header } from '../proxy/credentials.ts';
import { problemOf, sendProblem } from '../proxy/problem.ts';
import { pathOnly } from '../proxy/target.ts';
import type { PolicyStatuses } from '../reconcile/policy-status.ts';
import type { Reconciler } from '../reconcile/reconciler.ts';
import type { Templates } from '../reconcile/templates.ts';
import type { Admin, AdminAccess } from './access.ts';
import { openApiDocument, openApiRoute } from './openapi.ts';
import { orderRoutes } from './orders.ts';
import { planRoutes } from './plan.ts';
import { policyRoutes } from './policies.ts';
import { reconcileRoutes } from './reconcile.ts';
import type { AdminRoute, Schema } from './route.ts';
import { statusRoutes } from './status.ts';
import { terminalRoutes } from './terminals.ts';

export interface AdminApiOptions {
  readonly access: AdminAccess;
  readonly policies: { readonly current: PolicySet };
  readonly writer: PolicyWriter;
  /** Reads the policies anew; resolves when they are in force. */
  readonly reload: () => Promise<void>;
  readonly rules: PolicyRules;
  readonly templates: Pick<Templates, 'of'>;
  readonly statuses: Pick<PolicyStatuses, 'all' | 'of'>;
  readonly reconciler: Pick<
    Reconciler,
    'entries' | 'order' | 'synced' | 'resync' | 'rollouts' | 'resets' | 'queued'
  >;
  readonly backend: Pick<Backend, 'kind' | 'unenforced'>;
  readonly unknownGroups: UnknownGroups;
  readonly version: string;
  readonly audit: Audit;
  readonly log: Logger;
}

/** Where all of its routes are. */
export const adminPrefix = '/api/v1';
/** A policy is far smaller. */
const bodyLimit = 256 * 1024;

/** All routes of the admin API. */
export function adminRoutes(options: AdminApiOptions): readonly AdminRoute[] {
  const routes = [
    ...policyRoutes(options),
    ...statusRoutes(options),
    ...terminalRoutes(options),
    ...orderRoutes(options),
    ...planRoutes(options),
    ...reconcileRoutes(options),
  ];
  const document = openApiRoute(() => openApiDocument([...routes, document], options.version));
  return [...routes, document];
}

/** What a request's one log line says beside the request itself. */
interface Trace {
  admin: Admin | null;
  error: unknown;
}

/** Registers the admin API. */
export function adminApi(app: FastifyInstance, options: AdminApiOptions): void {
  const traces = new WeakMap<FastifyRequest, Trace>();
  void app.register(
    async (api) => {
      api.setValidatorCompiler(({ schema, httpPart }) => validator(schema as Schema, httpPart ?? ''));
      api.setSchemaErrorFormatter(
        (errors, part) =>
          new BadRequestError(wordsOf(errors[0], part), 'GET /api/v1/openapi.json says what is taken.'),
      );
      api.setErrorHandler((error, request, reply) => {
        traces.set(request, { admin: traces.get(request)?.admin ?? null, error });
        fail(error, request, reply, options.audit);
      });
      api.addHook('onResponse', async (request, reply) => {
        writeLine(options.log, request, reply, traces.get(request));
      });
      for (const route of adminRoutes(options)) register(api, route, options.access, traces);
    },
    { prefix: adminPrefix },
  );
}

function register(
  api: FastifyInstance,
  route: AdminRoute,
  access: AdminAccess,
  traces: WeakMap<FastifyRequest, Trace>,
): void {
  const [status = '200'] = Object.keys(route.answers);
  api.route({
    method: route.method,
    url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
    bodyLimit: route.bodyLimit ?? bodyLimit,
    schema: {
      ...(route.query ? { querystring: requestSchema(route.query) } : {}),
      ...(route.body ? { body: route.body } : {}),
    },
    // Before the body is read.
    onRequest: async (request) => {
      const { raw } = request;
      const admin = route.recognition ? await access.recognise(raw) : await access.admit(raw);
      traces.set(request, { admin, error: null });
    },
    handler: async (request, reply) => {
      reply.code(Number(status));
      return route.handle({
        params: request.params as Readonly<Record<string, string>>,
        query: request.query,
        body: request.body,
        admin: traces.get(request)?.admin ?? null,
        status: (code) => void reply.code(code),
      });
    },
  });
}

function requestSchema(properties: Readonly<Record<string, Schema>>): Schema {
  return { type: 'object', additionalProperties: false, properties };
}

/** The schemas are ours, and test/admin/openapi.test.ts checks them against the meta-schema once and for all. */
const lean = { validateSchema: false, meta: false };
const strict = { ...lean, strict: true, allowUnionTypes: true, useDefaults: true };

const require = createRequire(import.meta.url);

/** Compiled, and what does that loaded, when first used: all of them together would be a fifth of the start. */
function validator(schema: Schema, httpPart: string) {
  // A query has nothing but strings.
  const coerceTypes = httpPart === 'querystring';
  let compiled: ValidateFunction | undefined;
  return (data: unknown) => {
    compiled ??= compile(schema, coerceTypes);
    return compiled(data) || { error: (compiled.errors ?? []) as FastifySchemaValidationError[] };
  };
}

function compile(schema: Schema, coerceTypes: boolean): ValidateFunction {
  const { Ajv2020 }: typeof Ajv = require('ajv/dist/2020.js');
  return new Ajv2020({ ...strict, coerceTypes }).compile(schema);
}

interface Invalid {
  readonly instancePath: string;
  readonly message?: string;
  readonly params: Record<string, unknown>;
}

function wordsOf(error: Invalid | undefined, part: string): string {
  const where = `${part}${(error?.instancePath ?? '').replaceAll('/', '.')}`;
  const unknown = error?.params.additionalProperty;
  if (typeof unknown === 'string') return `The field "${unknown}" is not known in ${where}.`;
  const values = error?.params.allowedValues;
  const among = Array.isArray(values) ? `: ${values.join(', ')}` : '';
  return `The ${where} ${error?.message ?? 'is not valid'}${among}.`;
}

function fail(error: unknown, request: FastifyRequest, reply: FastifyReply, audit: Audit): void {
  if (error instanceof UnauthenticatedError || error instanceof ForbiddenError) {
    audit.refused(error, { user: header(request.raw, 'x-user-id'), requestId: request.id });
  }
  reply.hijack();
  sendProblem(reply.raw, problemOf(error, request.id));
}

function writeLine(
  log: Logger,
  request: FastifyRequest,
  reply: FastifyReply,
  trace: Trace | undefined,
): void {
  const line = {
    requestId: request.id,
    method: request.method,
    path: pathOnly(request.originalUrl),
    status: reply.raw.statusCode,
    ms: Math.round(reply.elapsedTime * 10) / 10,
    admin: trace?.admin?.admittedBy,
    user: trace?.admin?.user ?? undefined,
  };
  const error = trace?.error ?? null;
  if (error === null) log.info(line, 'admin request');
  else log[line.status >= 500 ? 'error' : 'warn']({ ...line, err: error }, 'admin request failed');
}
