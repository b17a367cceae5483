/** Real Open Terminal Pods on a real node. The image must be there (imagePullPolicy IfNotPresent). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pods, volumeClaims } from '../../src/kubernetes/objects.ts';
import { keepAnnotation, resetAnnotation } from '../../src/operator/reset-request.ts';
import { terminals } from '../../src/operator/terminal-resource.ts';
import { withoutNode } from '../engines.ts';
import { type Cluster, condition, openCluster, until } from './cluster.ts';

const skip = await withoutNode();
const small = { resources: { requests: { cpu: '50m', memory: '64Mi' } } };

/** Runs a command in the terminal and gives what it printed. */
async function execute(cluster: Cluster, name: string, command: string, seconds = 10): Promise<string> {
  const { podIP } = await cluster.status(name, ({ phase }) => phase === 'Running', 40_000);
  const response = await fetch(`http://${podIP}:8000/execute?wait=${seconds}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await cluster.key(name)}`, 'content-type': 'application/json' },
    body: JSON.stringify({ command }),
    signal: AbortSignal.timeout((seconds + 10) * 1_000),
  });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const { output } = JSON.parse(text);
  return output.map(({ data }: { data: string }) => data).join('');
}

test('a real terminal: key and files outlive its Pod, and idleness; limits change in place', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await cluster.terminal('t', { ...small, env: { GREETING: 'costs $(HOME) $5' } });
  assert.match(await execute(cluster, 't', 'echo kept > ~/file; echo "$GREETING"'), /costs \$\(HOME\) \$5/);
  const first = (await cluster.pod('t')).metadata.uid;

  await t.test('no account at the API server is in it', async () => {
    assert.match(await execute(cluster, 't', 'ls /var/run/secrets/kubernetes.io 2>&1'), /No such file/);
    // The API server's own address is given to every Pod; those of the namespace's Services are not.
    assert.doesNotMatch(await execute(cluster, 't', 'env'), /^T_(SERVICE|PORT)/m);
  });

  await t.test('more CPU reaches the running Pod', async () => {
    await cluster.patch(terminals, 't', { spec: { resources: { limits: { cpu: '1500m' } } } });
    await until(async () => {
      // What the kubelet says is in force.
      const [container] = (await cluster.pod('t')).status?.containerStatuses ?? [];
      return container?.resources?.limits?.cpu === '1500m';
    });
    assert.equal((await cluster.pod('t')).metadata.uid, first);
  });

  await t.test(
    'a memory limit below what is in use kills nothing: that it is not in force is said',
    async () => {
      const { resources } = (await cluster.get(terminals, 't'))?.spec ?? {};
      const memory = '8Mi';
      await cluster.patch(terminals, 't', {
        spec: { resources: { requests: { memory }, limits: { memory } } },
      });
      const status = await cluster.status(
        't',
        ({ message }) => /below current usage/.test(message ?? ''),
        60_000,
      );
      assert.equal(status.phase, 'Running');
      const pod = await cluster.pod('t');
      assert.deepEqual([pod.metadata.uid, pod.status?.containerStatuses?.[0]?.restartCount], [first, 0]);
      await cluster.patch(terminals, 't', { spec: { resources } });
      await cluster.status('t', ({ message }) => message === '', 60_000);
    },
  );

  await t.test('a deleted Pod comes back with the same key and the same files', async () => {
    const key = await cluster.key('t');
    await cluster.remove(pods, 't');
    await cluster.status('t', ({ phase }) => phase !== 'Running');
    assert.match(await execute(cluster, 't', 'cat ~/file'), /kept/);
    assert.equal(await cluster.key('t'), key);
    assert.notEqual((await cluster.pod('t')).metadata.uid, first);
  });

  await t.test('idle, the Pod is gone; used again, the files are there', async () => {
    const used = new Date().toISOString();
    await cluster.patch(terminals, 't', { status: { lastActivityAt: used } }, 'status');
    await cluster.patch(terminals, 't', { spec: { idleTimeoutMinutes: 0.01 } });
    await cluster.status('t', ({ phase }) => phase === 'Idle');
    await until(async () => (await cluster.get(pods, 't')) === undefined);
    assert.ok(await cluster.get(volumeClaims, 't-home'));
    await cluster.patch(terminals, 't', { spec: { idleTimeoutMinutes: 30 } });
    const now = new Date().toISOString();
    await cluster.patch(terminals, 't', { status: { lastActivityAt: now } }, 'status');
    assert.match(await execute(cluster, 't', 'cat ~/file'), /kept/);
  });
});

/** Asks for a reset, and waits until it is done. */
async function reset(cluster: Cluster, keep: readonly string[]): Promise<void> {
  const at = new Date().toISOString();
  const annotations = { [resetAnnotation]: at, [keepAnnotation]: JSON.stringify(keep) };
  await cluster.patch(terminals, 't', { metadata: { annotations } });
  await cluster.status('t', ({ phase, lastResetAt }) => phase === 'Idle' && lastResetAt === at, 60_000);
}

async function wake(cluster: Cluster): Promise<void> {
  const status = { lastActivityAt: new Date().toISOString() };
  await cluster.patch(terminals, 't', { status }, 'status');
}

test('a reset empties a home whatever its user made in it, and what is to stay stays', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await cluster.terminal('t', small);
  const made = await execute(
    cluster,
    't',
    `cd; mkdir -p .config/git work/deep $'a\\nb' -- -rf '*' && echo g > .config/git/config && echo w > work/deep/file
echo n > '; rm -rf notes'; echo k > notes; ln -s /etc etc; ln -s /etc/passwd .config/link; chmod 0 work/deep work
sudo mkdir -p of-root/deep && sudo touch of-root/deep/file && sudo chmod 0 of-root && sudo chattr +i notes 2>/dev/null
echo made`,
  );
  assert.match(made, /made/);
  await reset(cluster, ['.config/git', 'notes']);
  await wake(cluster);
  assert.match(await execute(cluster, 't', 'cd; cat notes .config/git/config'), /k\s+g/);
  // What the image puts there at each start is all that is there beside.
  const left = await execute(
    cluster,
    't',
    'cd; find . -mindepth 1 ! -path "./.local*" | sort | tr "\\n" " "',
  );
  assert.match(
    left,
    /^\.\/\.bashrc \.\/\.config \.\/\.config\/git \.\/\.config\/git\/config (\.\/\.\S+ )*\.\/notes $/,
  );
  assert.match(await execute(cluster, 't', 'head -c 4 /etc/passwd'), /root/);
});

test('a restricted terminal is reset where Pod Security enforces "restricted"', { skip }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await cluster.terminal('t', { ...small, restricted: true });
  // Volumes of the shared cluster are host paths, which take no fsGroup: this is what it would do.
  const image = (await cluster.get(terminals, 't'))?.spec.image;
  const mount = { name: 'home', mountPath: '/home' };
  const prepare = {
    restartPolicy: 'Never',
    containers: [
      {
        ...{ name: 'prepare', image, imagePullPolicy: 'IfNotPresent', volumeMounts: [mount] },
        command: ['sh', '-c', 'chown 1000:1000 /home && chmod 700 /home'],
        securityContext: { runAsUser: 0 },
      },
    ],
    volumes: [{ name: 'home', persistentVolumeClaim: { claimName: 't-home' } }],
  };
  await cluster.apply(pods, 'prepare', { spec: prepare });
  await until(async () => (await cluster.get(pods, 'prepare'))?.status?.phase === 'Succeeded', 30_000);
  await cluster.client.request('PATCH', `/api/v1/namespaces/${cluster.namespace}`, {
    body: { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } },
    contentType: 'application/merge-patch+json',
  });
  const first = (await cluster.pod('t')).metadata.uid;
  await cluster.remove(pods, 't');
  await until(async () => ![undefined, first].includes((await cluster.get(pods, 't'))?.metadata.uid));
  await execute(
    cluster,
    't',
    'cd; mkdir -p shut/deep; echo x > shut/deep/file; chmod 0 shut/deep shut; echo x > file',
  );
  await reset(cluster, []);
  await wake(cluster);
  const left = await execute(cluster, 't', 'ls -A ~; echo end');
  assert.match(left, /end/);
  assert.doesNotMatch(left, /\b(shut|file)\b/);
});

test('a restricted terminal runs where Pod Security enforces "restricted"', { skip }, async (t) => {
  const cluster = await openCluster(t, { 'pod-security.kubernetes.io/enforce': 'restricted' });
  cluster.operator();
  // Volumes of the shared cluster are host paths, which take no fsGroup; so the home is the container's own.
  await cluster.terminal('t', { ...small, restricted: true, persistence: { enabled: false } });
  assert.match(await execute(cluster, 't', 'echo x > ~/file && cat ~/file; id -u'), /x\s+1000/);
  assert.match(await execute(cluster, 't', 'sudo true 2>&1'), /no new privileges/);
});

test('packages are installed once: the next start takes them out of the home, and needs no network', {
  skip,
  timeout: 300_000,
}, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  const limits = { cpu: '2', memory: '1Gi' };
  await cluster.terminal('t', { resources: { ...small.resources, limits }, packages: ['tree', 'bc'] });
  const installed = 'echo 6*7 | bc; tree --version';
  await cluster.status('t', ({ phase }) => phase === 'Running', 200_000);
  assert.match(await execute(cluster, 't', installed), /^42\s+tree v/);
  assert.match(
    await execute(cluster, 't', 'ls ~/.cache/terminals; stat -c %U ~/.cache'),
    /packages-\w+\.tgz\s+user/,
  );
  const first = (await cluster.pod('t')).metadata.uid;

  await t.test(
    'also where the sources have gone, and what its user installs comes from them as ever',
    async () => {
      // A mirror that can not be reached would end the start of a terminal that has to ask it.
      await cluster.remove(pods, 't');
      await until(
        async () => ![undefined, first].includes((await cluster.get(pods, 't'))?.metadata.uid),
        60_000,
      );
      assert.match(await execute(cluster, 't', installed), /^42\s+tree v/);
      const log = `/api/v1/namespaces/${cluster.namespace}/pods/t/log`;
      const lines = await cluster.client
        .request<unknown>('GET', log)
        .catch((error: unknown) => String(error));
      assert.doesNotMatch(String(lines), /Unpacking|Get:/);
      assert.match(
        await execute(cluster, 't', 'sudo apt-get -qq update 2>&1; apt-cache policy hello', 60),
        /Candidate: \d/,
      );
    },
  );
});

test('allowed domains are filtered in the Pod', { skip }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await cluster.terminal('t', { ...small, egress: { allowedDomains: [] } });
  assert.match(await execute(cluster, 't', 'echo up; sudo iptables -F OUTPUT 2>&1'), /up[\s\S]*denied/i);
});

test('an image that can not be pulled is an error at once, and a right one mends it', { skip }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await cluster.terminal('t', { ...small, image: 'registry.invalid/none:1' });
  const status = await cluster.status('t', ({ phase }) => phase === 'Error', 60_000);
  assert.match(condition(status, 'Stalled'), /^True (ErrImagePull|ImagePullBackOff)$/);
  assert.match(status.message ?? '', /registry\.invalid/);
  await cluster.patch(terminals, 't', { spec: { image: 'ghcr.io/open-webui/open-terminal:latest' } });
  await cluster.status('t', ({ phase }) => phase === 'Running', 40_000);
});

test('a container that ends at its start is an error at once, with its exit code', { skip }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  // Both a key and a file with a key: the image refuses to start.
  await cluster.terminal('t', { ...small, env: { OPEN_TERMINAL_API_KEY_FILE: '/nowhere' } });
  const status = await cluster.status('t', ({ phase }) => phase === 'Error', 20_000);
  assert.match(status.message ?? '', /exit code 1: .*exclude each other/);
});

test('a Secret that is missing for secretEnv is told by its name', { skip }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  await cluster.terminal('t', { ...small, secretEnv: { KEY: { name: 'team-keys', key: 'openai' } } });
  const status = await cluster.status('t', ({ phase }) => phase === 'Error', 20_000);
  assert.equal(condition(status, 'Stalled'), 'True CreateContainerConfigError');
  assert.match(status.message ?? '', /team-keys/);
});
