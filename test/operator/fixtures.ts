/** A Terminal as the API server would give it, with every default filled in. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { TerminalResource, TerminalSpec, TerminalStatus } from '../../src/operator/terminal-resource.ts';
import { terminalSpecSchema } from '../../src/operator/terminal-schema.ts';

const fill = new Ajv2020({ useDefaults: true, strict: false }).compile(terminalSpecSchema());

export interface Given {
  readonly spec?: object;
  readonly status?: TerminalStatus;
  readonly metadata?: object;
}

export function terminal({ spec = {}, status, metadata = {} }: Given = {}): TerminalResource {
  const whole: unknown = { userId: 'Alice@Example.org', ...structuredClone(spec) };
  if (!fill(whole)) throw new Error(JSON.stringify(fill.errors));
  return {
    apiVersion: 'openwebui.com/v1alpha1',
    kind: 'Terminal',
    metadata: {
      name: 'terminals-default-alice',
      namespace: 'team',
      uid: '6f1c9d5e-0000-4000-8000-000000000001',
      generation: 1,
      creationTimestamp: '2026-01-01T10:00:00Z',
      ...metadata,
    },
    spec: whole as TerminalSpec,
    ...(status === undefined ? {} : { status }),
  };
}
