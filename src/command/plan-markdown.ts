/** A plan as a comment on a pull request: terminals are counted, since everybody reads it. @module */
import { problemText } from '../policy/store.ts';
import type { PlanReport, Step, TerminalPlan } from '../reconcile/plan-report.ts';
import type { FieldChange } from '../terminal/terminal.ts';
import { summaryOf } from './plan-text.ts';
import { printable } from './table.ts';

/** GitHub takes 65,536 characters. */
const longest = 60_000;

/** What is said in place of a plan. */
export const noPlan = 'There is no plan while policies have errors; what runs stays as it is.';

/** @param planned false: there is no plan, only problems */
export function planMarkdown(report: PlanReport, planned: boolean): string {
  const { policies, problems } = report;
  const sections = [
    `### Terminals: plan\n\n${planned ? `${summaryOf(report)}.` : noPlan}`,
    problems.length === 0
      ? null
      : `**Problems**\n\n${problems.map((problem) => `- ${code(problemText(problem))}`).join('\n')}`,
    policies.length === 0 ? null : `**Policies**\n\n${policies.map(policyLines).join('\n')}`,
    terminalTable(report),
    report.rollouts.length === 0 ? null : report.rollouts.map(rolloutLine).join('\n'),
  ];
  const text = `${sections.filter((section) => section !== null).join('\n\n')}\n`;
  if (text.length <= longest) return text;
  return `${text.slice(0, text.lastIndexOf('\n', longest))}\n\n… and more than fits here.\n`;
}

function policyLines({ policy, change, declared, changes }: PlanReport['policies'][number]): string {
  const lines = changes.map(({ field, from, to }) => `  - ${code(field)}: ${value(from)} → ${value(to)}`);
  return [`- ${code(policy)} ${change} (${code(declared)})`, ...lines].join('\n');
}

function rolloutLine({ policy, replaced, parallel }: PlanReport['rollouts'][number]): string {
  const more = replaced > 1 ? `: one first, then ${parallel} at a time` : '';
  return `- ${code(policy)}: ${replaced} to replace${more}`;
}

/** Terminals of a policy with which the same is done, in one row. */
function terminalTable({ terminals }: PlanReport): string | null {
  const changed = terminals.flatMap((terminal) =>
    terminal.steps.filter(({ change }) => change).map((step) => ({ terminal, step })),
  );
  if (changed.length === 0) return null;
  const groups = Map.groupBy(changed, ({ terminal, step }) =>
    JSON.stringify([terminal.policy, step.action, step.reason, step.changes]),
  );
  const rows = [...groups.values()].map((group) => row(group));
  return `| policy | terminals | what | when | why |\n|---|---|---|---|---|\n${rows.join('\n')}`;
}

function row(group: readonly { readonly terminal: TerminalPlan; readonly step: Step }[]): string {
  const [first] = group;
  if (first === undefined) return '';
  const { action, reason, changes } = first.step;
  const whens = group.map(({ step }) => step.when).sort();
  const [from, to] = [whens[0] ?? '', whens.at(-1) ?? ''];
  const why = [reason, ...changes.map(fieldText)].map(code).join('<br>');
  const when = from === to ? code(from) : `${code(from)} – ${code(to)}`;
  return `| ${code(first.terminal.policy)} | ${group.length} | ${action} | ${when} | ${why} |`;
}

function fieldText({ field, from, to }: FieldChange): string {
  return `${field}: ${from ?? '(none)'} → ${to ?? '(none)'}`;
}

function value(text: string | null): string {
  return text === null ? '(none)' : code(text);
}

/** As code, where neither names of people nor links nor markup count; a bar would end a cell even there. */
function code(text: string): string {
  return `\`${printable(text).replaceAll('`', "'").replaceAll('|', '\\|') || ' '}\``;
}
