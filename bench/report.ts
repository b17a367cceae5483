/** A run as tables of Markdown. @module */
import type { Verdict } from './goals.ts';
import type { Contender, Measurement } from './measurement.ts';
import { paired, type Summary, summary } from './statistics.ts';

const contenders: readonly Contender[] = [
  'direct',
  'nginx',
  'reply-from',
  'docker run',
  'cold start',
  'one process',
  'shared key',
  'bare Pod',
  'terminals',
];

const others = contenders.filter((contender) => contender !== 'terminals');

/** What a run found, with its circumstances in a line. */
export interface Run {
  readonly circumstances: string;
  readonly measurements: readonly Measurement[];
  readonly verdicts: readonly Verdict[];
  readonly failures: ReadonlyMap<string, string>;
}

export function markdown({ circumstances, measurements, verdicts, failures }: Run): string {
  const parts = [`${circumstances} Figures: median (lowest – highest round).`];
  parts.push(table(['load', 'unit', ...contenders], measurements.map(figuresRow)));
  const compared = measurements.flatMap(ratioRow);
  if (compared.length > 0) {
    parts.push(table(['Terminals over …', 'better', ...others], compared));
  }
  const judged = verdicts.filter(({ met }) => met !== null);
  if (judged.length > 0) parts.push(table(['goal', 'bound', 'found', 'met'], judged.map(verdictRow)));
  const failed = [...failures].map(([row, reason]) => `- ${row}: ${reason}`);
  if (failed.length > 0) parts.push(`Not measured:\n${failed.join('\n')}`);
  return `${parts.join('\n\n')}\n`;
}

function figuresRow({ title, unit, samples }: Measurement): readonly string[] {
  const cells = contenders.map((contender) => {
    const values = samples[contender];
    return values ? figures(summary(values)) : '';
  });
  return [title, unit, ...cells];
}

function ratioRow({ title, better, samples }: Measurement): readonly (readonly string[])[] {
  const { terminals } = samples;
  if (!terminals || !others.some((contender) => samples[contender])) return [];
  const cells = others.map((contender) => {
    const values = samples[contender];
    return values ? figures(summary(paired(terminals, values, (a, b) => a / b))) : '';
  });
  return [[title, better, ...cells]];
}

function verdictRow({ what, goal, unit, found, met, agreeing: [rounds, of] }: Verdict): readonly string[] {
  const figure = found === null ? '–' : `${figures(found)} ${unit}`.trim();
  const doubt = rounds < of ? ` (${rounds} of ${of} rounds)` : '';
  return [what, goal, figure, `${met ? 'yes' : '**no**'}${doubt}`];
}

function figures({ median, low, high }: Summary): string {
  if (low === high) return short(median);
  return `${short(median)} (${short(low)} – ${short(high)})`;
}

/** Three digits that count. */
function short(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(3)));
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n');
}
