import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import pino from 'pino';
import { Informer } from '../../src/kubernetes/informer.ts';
import { type Pod, pods } from '../../src/kubernetes/objects.ts';
import { until } from '../operator/cluster.ts';
import { type Answer, type ApiServer, apiServer, event, gone, json, list, pod } from './api-server.ts';

interface Run {
  readonly api: ApiServer;
  readonly informer: Informer<Pod>;
  readonly changes: string[];
}

async function run(t: TestContext, answer: Answer, pageSize?: number): Promise<Run> {
  const api = await apiServer(t, answer);
  const log = pino({ level: process.env.TEST_LOG ?? 'silent' });
  const informer = new Informer<Pod>({
    ...{ client: api.client, resource: pods, namespace: 'n', log },
    ...(pageSize === undefined ? {} : { pageSize }),
  });
  const changes: string[] = [];
  informer.onChange((now, before) => {
    const word = now === undefined ? '-' : before === undefined ? '+' : '~';
    changes.push(`${word}${(now ?? before)?.metadata.name}`);
  });
  const stop = new AbortController();
  const ended = informer.run(stop.signal);
  t.after(async () => {
    stop.abort();
    await ended;
  });
  return { api, informer, changes };
}

/** Answers lists with what `listed` returns and keeps watches open, telling of each. */
function server(listed: () => unknown, watch: (response: ServerResponse, url: URL) => void): Answer {
  return (_, response, url) => {
    if (!url.searchParams.has('watch')) return json(response, listed());
    response.writeHead(200);
    response.flushHeaders();
    return watch(response, url);
  };
}

test('a list in pages and then the watch give every object once', async (t) => {
  const pages = [list('10', [pod('a', '1')], 'next'), list('10', [pod('b', '2')])];
  const { api, informer, changes } = await run(
    t,
    server(
      () => pages.shift(),
      (response) => response.write(event('ADDED', pod('c', '11')) + event('DELETED', pod('a', '12'))),
    ),
    1,
  );
  await informer.synced;
  await until(() => changes.length === 4);
  assert.deepEqual(changes, ['+a', '+b', '+c', '-a']);
  assert.equal(api.requests[1]?.searchParams.get('continue'), 'next');
  const watch = api.requests[2]?.searchParams;
  assert.equal(watch?.get('resourceVersion'), '10');
  assert.equal(watch?.get('allowWatchBookmarks'), 'true');
});

test('what only the API server and kubectl read is not kept', async (t) => {
  const { metadata, ...rest } = pod('a', '1');
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '{}', mine: 'x' };
  const applied = {
    ...rest,
    metadata: { ...metadata, annotations, managedFields: [{ manager: 'kubectl' }] },
  };
  const { informer } = await run(
    t,
    server(
      () => list('10', [applied]),
      () => undefined,
    ),
  );
  await informer.synced;
  assert.deepEqual(informer.get('n/a')?.metadata, { ...metadata, annotations: { mine: 'x' } });
});

test('an event that comes in pieces, in the middle of a character, is one event', async (t) => {
  const bytes = Buffer.from(event('ADDED', pod('ä', '11')));
  const at = bytes.indexOf(Buffer.from('ä')) + 1;
  const { changes } = await run(
    t,
    server(
      () => list('10', []),
      (response) => {
        response.write(bytes.subarray(0, at));
        setTimeout(() => response.write(bytes.subarray(at)), 20);
      },
    ),
  );
  await until(() => changes.length === 1);
  assert.deepEqual(changes, ['+ä']);
});

test('a watch that is cut goes on from where it was, the bookmark counted, without a list', async (t) => {
  let watches = 0;
  const { api, changes } = await run(
    t,
    server(
      () => list('10', []),
      (response) => {
        watches += 1;
        if (watches === 1) response.write(event('BOOKMARK', pod('', '500')));
        if (watches === 2) response.write(event('ADDED', pod('a', '501')));
      },
    ),
  );
  await until(() => watches === 1);
  await until(() => api.requests.length === 2);
  await new Promise((resolve) => setTimeout(resolve, 50));
  api.cut();
  await until(() => changes.length === 1);
  assert.deepEqual(
    api.requests.map(({ searchParams }) => searchParams.get('resourceVersion')),
    [null, '10', '500'],
  );
});

for (const how of ['as the answer', 'as an event'] as const) {
  test(`410 Gone ${how} of a watch lists anew, and tells what is gone meanwhile`, async (t) => {
    let lists = 0;
    const { changes } = await run(t, (_, response, url) => {
      if (!url.searchParams.has('watch')) {
        lists += 1;
        const items = lists === 1 ? [pod('a', '1'), pod('b', '2')] : [pod('b', '30'), pod('c', '31')];
        json(response, list(lists === 1 ? '10' : '40', items));
      } else if (lists > 1) response.writeHead(200).flushHeaders();
      else if (how === 'as the answer') json(response, gone, 410);
      else response.writeHead(200).end(event('ERROR', gone));
    });
    await until(() => changes.length === 5);
    assert.deepEqual(changes, ['+a', '+b', '~b', '+c', '-a']);
  });
}

test('a server that fails is asked again, ever less often, and nothing is forgotten', async (t) => {
  let down = false;
  let asked = 0;
  const { api, informer, changes } = await run(t, (_, response, url) => {
    if (down) {
      asked += 1;
      return json(response, { kind: 'Status', message: 'down' }, 503);
    }
    if (!url.searchParams.has('watch')) return json(response, list('10', [pod('a', '1')]));
    response.writeHead(200);
    response.flushHeaders();
    if (asked > 0) response.write(event('ADDED', pod('b', '11')));
    return undefined;
  });
  await informer.synced;
  await until(() => api.requests.length === 2);
  down = true;
  api.cut();
  await until(() => asked === 4);
  assert.equal(informer.get('n/a')?.metadata.name, 'a');
  down = false;
  await until(() => changes.includes('+b'));
});

test('an answer to our own write is taken in at once, an older event does not undo it', async (t) => {
  let send: ((text: string) => void) | undefined;
  const { informer, changes } = await run(
    t,
    server(
      () => list('10', [pod('a', '1')]),
      (response) => {
        send = (text) => response.write(text);
      },
    ),
  );
  await until(() => send !== undefined);
  const own = { ...pod('a', '20'), status: { phase: 'Running' } };
  informer.absorb(own);
  send?.(event('MODIFIED', { ...pod('a', '15'), status: { phase: 'Pending' } }));
  send?.(event('ADDED', pod('b', '16')));
  await until(() => changes.includes('+b'));
  assert.equal(informer.get('n/a')?.status?.phase, 'Running');
});

test('an answer to a write that the watch has passed is not taken: the object may be gone', async (t) => {
  const { informer, changes } = await run(
    t,
    server(
      () => list('10', [pod('a', '1')]),
      (response) => response.write(event('DELETED', pod('a', '30'))),
    ),
  );
  await until(() => changes.includes('-a'));
  informer.absorb(pod('a', '20'));
  assert.equal(informer.get('n/a'), undefined);
});

test('the late end of an object does not take away the newer one of its name, whose own end does', async (t) => {
  let send: ((text: string) => void) | undefined;
  const { informer, changes } = await run(
    t,
    server(
      () => list('10', [pod('a', '1')]),
      (response) => {
        send = (text) => response.write(text);
      },
    ),
  );
  await until(() => send !== undefined);
  const { metadata, ...rest } = pod('a', '20');
  informer.absorb({ ...rest, metadata: { ...metadata, uid: 'the next' } });
  send?.(event('DELETED', pod('a', '15')) + event('ADDED', pod('b', '16')));
  await until(() => changes.includes('+b'));
  assert.equal(informer.get('n/a')?.metadata.uid, 'the next');
  send?.(event('DELETED', { ...rest, metadata: { ...metadata, uid: 'the next', resourceVersion: '21' } }));
  await until(() => changes.includes('-a'));
  assert.deepEqual(changes, ['+a', '~a', '+b', '-a']);
});
