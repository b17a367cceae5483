/** The log: JSON lines, or readable ones on a terminal. Never a secret. @module */
import pino, { type DestinationStream, type Logger } from 'pino';
import type { LogLevel } from './config.ts';
import { Lines } from './lines.ts';

export interface LogOptions {
  readonly level: LogLevel;
  /** For people: one coloured line each. */
  readonly pretty: boolean;
  readonly destination?: DestinationStream;
  /** Other processes write to the same standard output. */
  readonly shared?: boolean;
}

/** Fields, in lower case, that would be a secret wherever they turned up. */
const secretNames = new Set(['authorization', 'cookie', 'set-cookie', 'apikey', 'token', 'password']);
const censored = '[secret]';
/** What is nested deeper is no field of ours; pino cuts such objects itself. */
const deepest = 5;

/** Writes in this process, and at its end what is left, so that nothing is lost. */
export async function createLogger({
  level,
  pretty,
  destination,
  shared = false,
}: LogOptions): Promise<Logger> {
  const options = {
    level,
    base: null,
    timestamp: isoTime,
    formatters: {
      level: (label: string) => ({ level: label }),
      log: (fields: Fields) => withoutSecrets(fields, 0),
    },
    // The formatter has made fields of it, which pino would take for an error of the class Object.
    serializers: { err: (err: unknown) => (err instanceof Error ? pino.stdSerializers.err(err) : err) },
    // What is bound to a child logger passes no formatter.
    redact: { paths: ['authorization', 'cookie', 'apiKey', 'token', 'password'], censor: censored },
  };
  const stream = destination ?? (pretty ? await prettyStream() : standardOutput(shared));
  return pino(options, stream);
}

/** As pino's own, worked out once a second but for the milliseconds. */
const isoTime = (() => {
  let known = 0;
  let upToSecond = '';
  return () => {
    const now = Date.now();
    const ms = now % 1_000;
    if (now - ms !== known) upToSecond = `,"time":"${new Date(now).toISOString().slice(0, -4)}`;
    known = now - ms;
    return `${upToSecond}${String(ms).padStart(3, '0')}Z"`;
  };
})();

type Fields = Record<string, unknown>;

/**
 * The same fields, and copies only of those that hold a secret somewhere. In place of wildcards in pino's `redact`, which cost six
 * times as much as the rest of the line.
 */
function withoutSecrets(fields: Fields, depth: number): Fields {
  let copy: Fields | null = null;
  // This is on the way of every line: no list of entries is made for it.
  for (const name in fields) {
    const value = fields[name];
    const clean = secretNames.has(name.toLowerCase()) ? censored : cleaned(value, depth);
    if (clean === value) continue;
    copy ??= { ...fields };
    copy[name] = clean;
  }
  return copy ?? fields;
}

function cleaned(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || depth === deepest) return value;
  if (value instanceof Error) return withoutSecrets({ ...pino.stdSerializers.err(value) }, depth + 1);
  // It says itself how it is written, e.g. a date or a Secret.
  if ('toJSON' in value) return value;
  if (Array.isArray(value)) return value.map((item) => cleaned(item, depth + 1));
  return withoutSecrets(value as Fields, depth + 1);
}

/** So many bytes go into a pipe in one piece, whoever else writes to it (PIPE_BUF of Linux). */
const pipeBytes = 4096;

/** Under load, lines are written so often. */
const writeEveryMs = 5;

/**
 * Lines that come soon after others are written together: one system call a line would be a tenth of what a proxied request
 * costs. Only a SIGKILL can lose them.
 * @param shared lines of several processes must not run into each other
 */
function standardOutput(shared: boolean): DestinationStream {
  const output = new Lines(1);
  let lines = '';
  let writtenAt = 0;
  const flush = () => {
    if (lines === '') return;
    writtenAt = performance.now();
    const written = lines;
    lines = '';
    try {
      output.write(written);
    } catch {
      // A disk that is full, or a pipe that nobody reads: that is no reason to serve nobody.
    }
  };
  const flushSoon = () => {
    const inMs = writtenAt + writeEveryMs - performance.now();
    // With those of this turn.
    if (inMs <= 0) setImmediate(flush);
    else setTimeout(flush, inMs).unref();
  };
  process.on('exit', flush);
  return {
    write(line) {
      if (lines === '') flushSoon();
      else if (shared && Buffer.byteLength(lines) + Buffer.byteLength(line) > pipeBytes) flush();
      lines += line;
    },
  };
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
