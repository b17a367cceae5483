/** What the tests of policies share: texts of policies, rules, directories of their own, a log that is kept. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { builtinPolicy } from '../../src/policy/builtin.ts';
import type { Policy, PolicySet } from '../../src/policy/policy.ts';
import { buildPolicySet, type PolicyRules } from '../../src/policy/policy-set.ts';
import { problemText } from '../../src/policy/store.ts';

/** A policy's text in four lines. @param spec as YAML, or what that would be */
export function policyWith(name: string, spec: string | object): string {
  const text = typeof spec === 'string' ? spec : JSON.stringify(spec);
  return `apiVersion: terminals.openwebui.com/v1alpha1\nkind: Policy\nmetadata: {name: ${name}}\nspec: ${text}\n`;
}

/** A policy's text: a header of five lines, and the spec's fields from line 6 on. */
export function policyText(name: string, ...fields: readonly string[]): string {
  const header = [
    'apiVersion: terminals.openwebui.com/v1alpha1',
    'kind: Policy',
    'metadata:',
    `  name: ${name}`,
  ];
  return [
    ...header,
    fields.length === 0 ? 'spec: {}' : 'spec:',
    ...fields.map((field) => `  ${field}`),
    '',
  ].join('\n');
}

/** Rules without bounds, as the server has them, and what a test wants otherwise. */
export function rulesWith(changed: Partial<PolicyRules> = {}): PolicyRules {
  return {
    defaults: {},
    builtin: builtinPolicy({}),
    maxCpuMillis: null,
    maxMemoryBytes: null,
    allowedImages: [],
    mode: 'run',
    ...changed,
  };
}

/** The set of some files, each a path and its text. */
export function setOf(
  files: Readonly<Record<string, string>>,
  previous: PolicySet | null = null,
  rules: PolicyRules = rulesWith(),
): PolicySet {
  return buildPolicySet(
    Object.entries(files).map(([file, text]) => ({ path: file, text })),
    previous,
    rules,
  );
}

/** Every problem in one line. */
export function problemsOf(set: PolicySet): readonly string[] {
  return set.problems.map(problemText);
}

/** A policy of the set; fails where it is not in force. */
export function policyOf({ policies }: PolicySet, name: string): Policy {
  const policy = [...policies.values()].find(({ id }) => id === name);
  return policy ?? assert.fail(`${name} is not in force, but ${[...policies.keys()].join(', ')}`);
}

/** A directory that is gone when the test file has ended. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'terminals-policies-'));
  after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Waits for a condition, and fails with its words after ten seconds. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadline) assert.fail(`in ten seconds it did not happen that ${what}`);
    await wait(10);
  }
}
