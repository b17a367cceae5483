/** What a step of a GitHub workflow says to the runner. @module */

/** Where it stands in the pull request. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** An annotation, as a line to be printed; its data and its properties escape differently. */
export function annotation(level: 'error' | 'warning' | 'notice', text: string, place?: Place): string {
  const data = (raw: string) => raw.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  const property = (raw: string) => data(raw).replaceAll(':', '%3A').replaceAll(',', '%2C');
  const at = place ? ` file=${property(place.file)},line=${place.line},col=${place.column}` : '';
  return `::${level}${at}::${data(text)}\n`;
}
