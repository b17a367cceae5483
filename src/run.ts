/** The program as a process: its arguments, its streams, its signals. @module */
import { main } from './main.ts';

const stopping = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    // Whoever asks twice does not want to wait.
    if (stopping.signal.aborted) process.exit(130);
    stopping.abort();
  });
}
// `terminals list | head` closes the pipe early, which is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const { env, stdout } = process;
const forcedColour = !['', '0', 'false'].includes(env.FORCE_COLOR ?? '');
process.exitCode = await main(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  env,
  cwd: process.cwd(),
  // On a terminal Node.js itself weighs NO_COLOR, FORCE_COLOR and TERM.
  colour: stdout.isTTY ? stdout.hasColors() : forcedColour,
  live: stdout.isTTY === true,
  signal: stopping.signal,
});
