import { test } from 'node:test';
import { readFile } from 'node:fs/promises';
import { allProcesses } from '../../../src/backend/process/processes.ts';
import * as o from './open-terminal.ts';
test('x', async (t) => {
  const d = await o.dataDirectory(t);
  const b = o.backendOf(t, d);
  const a = await b.create(o.desired('alice'), o.quiet, o.never);
  for (const command of ['sleep 1041', 'setsid sleep 1042', 'nohup env -i sleep 1044', 'bash -c "trap : TERM; sleep 1043; sleep 1043"']) {
  const t0 = performance.now();
  const r = await o.execute(a, `${command} </dev/null >/dev/null 2>&1 &`);
  console.log(command, performance.now() - t0, r);
  }
  console.log((await Promise.all((await allProcesses()).map(async p => [p.pid, p.parent, p.session, await readFile('/proc/'+p.pid+'/cmdline','utf8').catch(()=>'')] as const))).filter(x => x[3].includes('104')||x[3].includes('open_terminal')));
});
test('y', async (t) => {
  const d = await o.dataDirectory(t);
  const b = o.backendOf(t, d);
  for (let i = 0; i < 12; i++) {
  const a = await b.create(o.desired('alice', {env: {I: String(i)}}), o.quiet, o.never);
  if (i % 2) await b.create(o.desired('alice', {env: {I: String(i)}}), o.quiet, o.never);
  const t0 = performance.now();
  await b.stop(a.key, o.never);
  const ms = performance.now() - t0;
  console.log(ms);
  if (ms > 3000) console.log(await readFile(d + '/.terminals/process/' + a.name + '/log', 'utf8'));
  }
});
