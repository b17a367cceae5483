/**
 * The real Open WebUI, unchanged, in front of the whole program: its connections, its admin page's calls, its users' groups
 * and tokens, and its page in a real browser.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chromium } from 'playwright-core';
import { WebSocket } from 'ws';
import { withoutOpenWebUi } from '../engines.ts';
import { policyText } from '../policy/fixtures.ts';
import { type Caller, type OpenWebUi, openWebUi, secretKey } from './open-webui.ts';
import { deleteAll } from './place.ts';
import { key, type RunningProgram, removeFolder, serve, temporaryFolder, waitFor } from './program.ts';

const { TERMINALS_TEST_OPEN_WEBUI: program = '', TERMINALS_TEST_CHROMIUM: browser = '/usr/bin/chromium' } =
  process.env;

/** Everybody may use it. */
const forAll = {
  enabled: true,
  config: { access_grants: [{ principal_type: 'user', principal_id: '*', permission: 'read' }] },
};

describe('the real Open WebUI', { skip: withoutOpenWebUi(program, browser), timeout: 600_000 }, () => {
  let folder: string;
  let variables: Record<string, string> | undefined;
  let web: OpenWebUi;
  let terminals: RunningProgram;
  let bob: Caller;
  let carol: Caller;
  let shared: { readonly url: string; readonly key: string; readonly auth_type: 'bearer' };

  before(async () => {
    folder = await temporaryFolder();
    const policies = path.join(folder, 'policies');
    const data = path.join(folder, 'open-webui');
    await Promise.all([mkdir(policies), mkdir(data)]);
    await writeFile(path.join(policies, 'default.yaml'), policyText('default', 'env: {TEAM: nobody}'));
    const team = policyText('data', 'groups: [data]', 'priority: 10', 'env: {TEAM: data}');
    await writeFile(path.join(policies, 'data.yaml'), team);
    web = await openWebUi(program, data);
    variables = {
      // Chromium drops what it loads whenever a network interface comes or goes, as each container's does.
      TERMINALS_BACKEND: 'process',
      TERMINALS_DATA_DIR: path.join(folder, 'data'),
      TERMINALS_POLICIES_DIR: policies,
      TERMINALS_POLICY_WRITES: 'true',
      TERMINALS_OPEN_WEBUI_URL: web.url,
      TERMINALS_OPEN_WEBUI_SECRET_KEY: secretKey,
    };
    terminals = await serve(variables);
    shared = { url: terminals.url, key, auth_type: 'bearer' };
    const session = { url: terminals.url, key: '', auth_type: 'session' };
    const connections = [
      { id: 'key', name: 'By key', ...shared },
      { id: 'session', name: 'By session', ...session },
      { id: 'data', name: 'Data', ...shared, policy_id: 'data' },
    ];
    await web.admin.ask('POST', '/configs/terminal_servers', {
      TERMINAL_SERVER_CONNECTIONS: connections.map((one) => ({
        ...one,
        server_type: 'orchestrator',
        ...forAll,
      })),
    });
    [bob, carol] = [await web.user('bob'), await web.user('carol')];
    const group = await web.admin.ask<{ id: string }>('POST', '/groups/create', {
      name: 'data',
      description: 'a team',
    });
    await web.admin.ask('POST', `/groups/id/${group.id}/users/add`, { user_ids: [bob.id] });
  });

  after(async () => {
    await terminals?.stop();
    await web?.stop();
    // Without them it would be those of this machine's own configuration.
    if (variables) await deleteAll(variables);
    await removeFolder(folder);
  });

  test('its verify button finds an orchestrator, with a key and without', async () => {
    for (const auth of [
      { key, auth_type: 'bearer' },
      { key: '', auth_type: 'session' },
    ]) {
      const found = await web.admin.ask('POST', '/configs/terminal_servers/verify', {
        url: terminals.url,
        ...auth,
      });
      assert.deepEqual(found, { status: true, type: 'orchestrator' });
    }
  });

  test('each user has a terminal of their own', async () => {
    await bob.execute('key', 'echo of bob > ~/note');
    await carol.execute('key', 'echo of carol > ~/note');
    assert.equal(await bob.execute('key', 'cat ~/note'), 'of bob');
    assert.equal(await carol.execute('key', 'cat ~/note; echo $TEAM'), 'of carol\nnobody');
  });

  test('groups of Open WebUI choose the policy of who comes with a session; a connection may name one', async () => {
    assert.equal(await bob.execute('session', 'echo $TEAM'), 'data');
    assert.equal(await carol.execute('session', 'echo $TEAM'), 'nobody');
    assert.equal(await bob.execute('data', 'echo $TEAM'), 'data');
  });

  test('what it asks in no user’s name is answered', async () => {
    const spec = await bob.ask<{ paths: object }>('GET', '/terminals/key/openapi.json');
    assert.ok('/execute' in spec.paths);
    const { prompt } = await bob.ask<{ prompt: string }>('GET', '/terminals/key/system');
    assert.match(prompt, /computer/);
    const config = await bob.ask<{ features: { terminal: boolean } }>('GET', '/terminals/key/api/config');
    assert.equal(config.features.terminal, true);
  });

  for (const connection of ['key', 'session']) {
    test(`a shell by its WebSocket, authenticated by ${connection}`, async () => {
      const { id } = await bob.ask<{ id: string }>('POST', `/terminals/${connection}/api/terminals`, {});
      const address = `${web.url.replace('http', 'ws')}/api/v1/terminals/${connection}/api/terminals/${id}`;
      const socket = new WebSocket(address);
      let screen = '';
      socket.on('message', (chunk) => {
        screen += chunk.toString();
      });
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
      socket.send(JSON.stringify({ type: 'auth', token: bob.token }));
      socket.send(Buffer.from('echo typed-$((40 + 2))\n'));
      const typed = () => (screen.includes('typed-42') ? true : undefined);
      await waitFor(typed, 20_000, () => screen);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.close();
      await closed;
    });
  }

  test('its admin page reads and writes a policy, and refreshes terminals', async () => {
    const target = '/configs/terminal_servers/policy';
    const before = await web.admin.ask<{ data: { env: object } }>('POST', target, {
      ...shared,
      policy_id: 'data',
    });
    assert.deepEqual(before.data.env, { TEAM: 'data' });
    const fields = { ...before.data, env: { TEAM: 'data', EDITION: 'second' } };
    await web.admin.ask('POST', target, { ...shared, policy_id: 'data', policy_data: fields });
    const refreshed = await web.admin.ask<{ refreshed: number; failed: unknown[] }>(
      'POST',
      '/configs/terminal_servers/refresh',
      { ...shared, policy_id: 'data', only_idle: false, reset: false },
    );
    assert.deepEqual(refreshed.failed, []);
    assert.equal(await bob.execute('data', 'echo $EDITION'), 'second');
  });

  test('its page has the shell and the files of the user who is signed in', async (t) => {
    const running = await chromium.launch({
      executablePath: browser,
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-background-networking',
        '--disable-component-update',
      ],
    });
    t.after(() => running.close());
    const page = await running.newPage({ viewport: { width: 1400, height: 900 } });
    page.setDefaultTimeout(30_000);
    await page.addInitScript((token) => localStorage.setItem('token', token), carol.token);
    const keyboard = page.locator('.xterm-helper-textarea');
    const shell = async () => {
      await page.goto(web.url);
      await page.getByRole('button', { name: 'Terminal', exact: true }).click();
      await page.getByText('By key', { exact: true }).click();
      await page.getByText('note', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'Expand terminal' }).click();
      await keyboard.waitFor({ state: 'attached' });
      await page.locator('.xterm').click();
    };
    // What Chromium dropped meanwhile, since an interface of another test went, it loads again.
    await shell().catch(shell);
    await keyboard.pressSequentially('echo by hand > ~/typed-in-the-page\n');
    const typed = () => carol.execute('key', 'cat ~/typed-in-the-page 2> /dev/null || true');
    const written = async () => (await typed()) || undefined;
    assert.equal(await waitFor(written, 30_000), 'by hand');
  });
});
