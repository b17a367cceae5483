/** A plan for people at a terminal. @module */
import { isChanged, type PlanReport, type Step } from '../reconcile/plan-report.ts';
import type { FieldChange } from '../terminal/terminal.ts';
import { printable } from './table.ts';

const signs = { added: '+', changed: '~', removed: '-' } as const;
const colours = { added: 32, changed: 33, removed: 31 } as const;

/** Policies first, then terminals, then the count. */
export function planText(report: PlanReport, { colour }: { readonly colour: boolean }): string {
  const paint = (code: number, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const lines: string[] = [];
  for (const { policy, change, declared, changes } of report.policies) {
    lines.push(
      `${paint(colours[change], `${signs[change]} policy ${policy}`)} ${change} (${printable(declared)})`,
    );
    lines.push(...changes.map(fieldLine));
  }
  for (const { terminal, user, policy, phase, reason, steps } of report.terminals) {
    lines.push(`${terminal} (user ${printable(user)}, policy ${policy}, ${phase})`);
    if (steps.length === 0) lines.push(`  nothing to do${reason === null ? '' : `: ${printable(reason)}`}`);
    for (const step of steps) {
      const what = stepText(step);
      lines.push(`  ${step.change ? paint(33, what) : what}: ${printable(step.reason)}`);
      lines.push(...step.changes.map(fieldLine));
    }
  }
  for (const { policy, replaced, parallel } of report.rollouts) {
    const more = replaced > 1 ? `: one first, then ${parallel} at a time` : '';
    lines.push(`policy ${policy}: ${counted(replaced, 'terminal')} to replace${more}`);
  }
  return `${[...lines, summaryOf(report)].join('\n')}\n`;
}

function stepText({ action, when }: Step): string {
  return `${action} ${when === 'now' || when.startsWith('at') ? when : `at ${when}`}`;
}

function fieldLine({ field, from, to }: FieldChange): string {
  return `      ${printable(field)}: ${printable(from ?? '(none)')} → ${printable(to ?? '(none)')}`;
}

/** "2 policies to change; 3 terminals, 1 to change". */
export function summaryOf({ policies, terminals }: PlanReport): string {
  const of = terminals.filter(isChanged).length;
  const changed = `${counted(terminals.length, 'terminal')}, ${of} to change`;
  return policies.length === 0
    ? changed
    : `${counted(policies.length, 'policy', 'policies')} to change; ${changed}`;
}

function counted(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}
