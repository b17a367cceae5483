/** The policy that is there when nobody declared one. @module */
import type { PolicyId } from '../terminal/terminal.ts';
import type { Policy, PolicyDefaults } from './policy.ts';
import { checkStructure } from './schema.ts';

/** The id of the policy of those who name none. */
export const defaultPolicyId = 'default' as PolicyId;

/** What stands in the place of the file that declares it. */
export const builtinFile = '(built-in)';

/** Whether no file declares the policy. */
export function isBuiltin({ declaredAt }: Policy): boolean {
  return declaredAt.file === builtinFile;
}

/** `default`, from the schema's defaults and what the configuration says instead; a file named so replaces it. */
export function builtinPolicy(defaults: PolicyDefaults): Policy {
  const checked = checkStructure(
    { apiVersion: 'terminals.openwebui.com/v1alpha1', kind: 'Policy', metadata: { name: defaultPolicyId } },
    defaults,
  );
  if (!checked.ok) throw new Error(`the built-in policy is not valid: ${JSON.stringify(checked.errors)}`);
  return {
    id: defaultPolicyId,
    spec: checked.document.spec,
    declaredAt: { file: builtinFile, line: 1, column: 1 },
  };
}
