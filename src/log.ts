/** The log: JSON lines, or readable ones on a terminal. Never a secret. @module */
import pino, { type DestinationStream, type Logger } from 'pino';
import type { LogLevel } from './config.ts';

export interface LogOptions {
  readonly level: LogLevel;
  /** For people: one coloured line each. */
  readonly pretty: boolean;
  readonly destination?: DestinationStream;
}

/** What would be a secret wherever it turned up. */
const secretPaths = ['authorization', 'cookie', 'apiKey', 'token', 'key'].flatMap((name) => [
  name,
  `*.${name}`,
  `*.*.${name}`,
]);

/** Writes at once, in this process, so that nothing is lost at the end. */
export async function createLogger({ level, pretty, destination }: LogOptions): Promise<Logger> {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: secretPaths, censor: '[secret]' },
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const stream = destination ?? (pretty ? await prettyStream() : pino.destination({ dest: 1, sync: true }));
  return pino(options, stream);
}

/** Loaded only where somebody looks on. */
async function prettyStream(): Promise<DestinationStream> {
  const { default: pinoPretty } = await import('pino-pretty');
  return pinoPretty({
    colorize: true,
    sync: true,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid,hostname',
    destination: 1,
  });
}
