/**
 * The OpenAPI 3.1 document of the admin API, from the same declarations as its routes.
 * @module
 */
import { http } from '../node-http.ts';
import { policySchema } from '../policy/policy-schema.ts';
import { planAnswer } from './plan.ts';
import { policyAnswer } from './policies.ts';
import { policyFieldSchemas } from './policy-fields.ts';
import { policyStatusSchema } from './policy-status.ts';
import { type AdminRoute, objectOf, refTo, route, type Schema } from './route.ts';
import { policyProblem } from './status.ts';
import { terminalAnswer } from './terminals.ts';

const problem: Schema = objectOf(
  {
    type: { type: 'string', description: 'urn:terminals:problem: and a code.' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'What happened, and what to do.' },
    instance: { type: 'string', description: 'urn:terminals:request: and the id of the request.' },
  },
  ['instance'],
);

/** What everybody may be answered, whatever the route. */
const common = [401, 403, 503];

/** `GET /openapi.json`. */
export function openApiRoute(document: () => Schema): AdminRoute {
  return route({
    method: 'GET',
    path: '/openapi.json',
    id: 'getOpenApi',
    summary: 'This document.',
    answers: { 200: { type: 'object' } },
    handle: document,
  });
}

/** The document of these routes. */
export function openApiDocument(routes: readonly AdminRoute[], version: string): Schema {
  const paths: Record<string, Record<string, Schema>> = {};
  for (const each of routes) {
    paths[each.path] = { ...paths[each.path], [each.method.toLowerCase()]: operationOf(each) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Terminals: admin API',
      version,
      description: 'Policies and terminals, for administrators and for the admin page of Open WebUI.',
    },
    servers: [{ url: '/api/v1' }],
    security: [{ key: [] }],
    paths,
    components: {
      securitySchemes: {
        key: {
          type: 'http',
          scheme: 'bearer',
          description: 'TERMINALS_ADMIN_KEY, or the token of a member of TERMINALS_ADMIN_GROUP.',
        },
      },
      schemas: {
        Policy: policyAnswer,
        PolicyFields: { type: 'object', additionalProperties: false, properties: policyFieldSchemas },
        PolicySpec: policySchema.$defs.spec,
        PolicyStatus: policyStatusSchema,
        PolicyProblem: policyProblem,
        Plan: planAnswer,
        Terminal: terminalAnswer,
        Problem: problem,
      },
    },
  };
}

function operationOf(each: AdminRoute): Schema {
  const {
    id,
    summary,
    description,
    params = {},
    query = {},
    body,
    answers,
    problems = [],
    recognition,
  } = each;
  const inPath = Object.entries(params).map(([name, about]) => ({
    name,
    in: 'path',
    required: true,
    description: about,
    schema: { type: 'string' },
  }));
  const inQuery = Object.entries(query).map(([name, schema]) => ({ name, in: 'query', schema }));
  const failed = [...problems, ...common].sort((a, b) => a - b);
  return {
    operationId: id,
    summary,
    ...(description === undefined ? {} : { description }),
    ...(recognition ? { security: [{ key: [] }, {}] } : {}),
    ...(inPath.length + inQuery.length > 0 ? { parameters: [...inPath, ...inQuery] } : {}),
    ...(body === undefined ? {} : { requestBody: { required: true, ...content('application/json', body) } }),
    responses: Object.fromEntries([
      ...Object.entries(answers).map(([status, schema]) => [
        status,
        answer(Number(status), 'application/json', schema),
      ]),
      ...failed.map((status) => [status, answer(status, 'application/problem+json', refTo('Problem'))]),
    ]),
  };
}

function answer(status: number, type: string, schema: Schema): Schema {
  return { description: http.STATUS_CODES[status] ?? String(status), ...content(type, schema) };
}

function content(type: string, schema: Schema): Schema {
  return { content: { [type]: { schema } } };
}
