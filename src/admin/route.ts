/**
 * A route of the admin API: one declaration, from which Fastify's route, its checks and the OpenAPI document come.
 * @module
 */
import type { Admin } from './access.ts';

/** A JSON Schema, draft 2020-12. */
export type Schema = Readonly<Record<string, unknown>>;
export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** A request whose parts passed the route's schemas. */
export interface AdminRequest<Query, Body> {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  /** Null: somebody who is no administrator, on a route for recognition. */
  readonly admin: Admin | null;
  /** Answers with another status than the route's. */
  status(code: number): void;
}

export interface RouteDefinition<Query, Body> {
  readonly method: Method;
  /** Below /api/v1, as OpenAPI writes it: `/policies/{id}`. */
  readonly path: string;
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  /** What each `{…}` of the path is. */
  readonly params?: Readonly<Record<string, string>>;
  /** None of them is required. */
  readonly query?: Readonly<Record<string, Schema>>;
  readonly body?: Schema;
  /** Bytes; absent: as much as a policy needs. */
  readonly bodyLimit?: number;
  /** By status: what a success looks like. */
  readonly answers: Readonly<Record<number, Schema>>;
  /** Statuses of its own problems; 401, 403 and 503 come from who asks. */
  readonly problems?: readonly number[];
  /** Answered without a key where that is how Open WebUI recognises Terminals. */
  readonly recognition?: true;
  readonly handle: (request: AdminRequest<Query, Body>) => unknown;
}

/** A route whose types only its own handler knows; the schemas vouch for them. */
export type AdminRoute = RouteDefinition<unknown, unknown>;

/** @typeParam Query what `query` lets through @typeParam Body what `body` lets through */
export function route<Query = unknown, Body = unknown>(definition: RouteDefinition<Query, Body>): AdminRoute {
  return definition as AdminRoute;
}

/** An object with these fields, all of them there. */
export function objectOf(
  properties: Readonly<Record<string, Schema>>,
  optional: readonly string[] = [],
): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', additionalProperties: false, required, properties };
}

export function listOf(items: Schema): Schema {
  return { type: 'array', items };
}

export function refTo(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

/** Or null. */
export function nullable(type: string, more: Schema = {}): Schema {
  return { type: [type, 'null'], ...more };
}
