/** The end of a container's log, for ours. @module */
import type Docker from 'dockerode';
import { masked } from '../masked.ts';

const lineCount = 20;
/** Every frame of an engine's log stream begins with its kind (1 byte), three zeros, and its length (4 bytes). */
const frameHeader = 8;

/**
 * The last lines a container wrote, masked; empty where they can't be had.
 * @param secrets what was given to it and is not to be seen
 */
export async function lastLines(
  docker: Docker,
  id: string,
  secrets: readonly string[],
): Promise<readonly string[]> {
  try {
    const abortSignal = AbortSignal.timeout(5_000);
    const log = await docker
      .getContainer(id)
      .logs({ stdout: true, stderr: true, tail: lineCount, follow: false, abortSignal });
    const lines = textOf(log)
      .split('\n')
      .filter((line) => line.trim() !== '');
    return masked(lines, secrets);
  } catch {
    return [];
  }
}

/** The frames' contents put together. */
export function textOf(log: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at + frameHeader <= log.length; ) {
    const end = at + frameHeader + log.readUInt32BE(at + 4);
    parts.push(log.subarray(at + frameHeader, end));
    at = end;
  }
  return Buffer.concat(parts).toString('utf8');
}
