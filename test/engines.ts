/**
 * What a test needs and a machine may lack. A missing engine is a skip with its reason, or a failure where
 * TERMINALS_TEST_REQUIRE names it (as CI does).
 */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { dockerAnswers } from '../src/backend/docker/engine.ts';
import { KubeClient } from '../src/kubernetes/client.ts';

const required = (process.env.TERMINALS_TEST_REQUIRE ?? '').split(',').map((name) => name.trim());

/** What `ask` finds; an engine that is required may be too busy to answer at once. */
async function patiently<T>(engine: string, ask: () => Promise<T | null>): Promise<T | null> {
  const end = performance.now() + (required.includes(engine) ? 60_000 : 0);
  for (;;) {
    const found = await ask();
    if (found !== null || performance.now() >= end) return found;
    await sleep(500);
  }
}

/** False where Docker answers, else why the test is skipped. Throws where Docker is required. */
export async function withoutDocker(): Promise<string | false> {
  if (await patiently('docker', async () => (await dockerAnswers()) || null)) return false;
  if (required.includes('docker'))
    throw new Error('no Docker engine answers, and TERMINALS_TEST_REQUIRE asks for one');
  return 'skipped: no Docker engine';
}

/** Why a test is skipped whose engine is not as it needs it. Throws where Docker is required: there it has to be. */
export function notOnThisDocker(reason: string): string {
  if (required.includes('docker')) throw new Error(`${reason}, and TERMINALS_TEST_REQUIRE asks for Docker`);
  return `skipped: ${reason}`;
}

/** False where both programs are there, else why the test is skipped. Throws where Open WebUI is required. */
export function withoutOpenWebUi(program: string, browser: string): string | false {
  if (existsSync(program) && existsSync(browser)) return false;
  const missing = existsSync(program)
    ? `no browser at ${browser}`
    : 'no Open WebUI in TERMINALS_TEST_OPEN_WEBUI';
  if (required.includes('open-webui')) throw new Error(`${missing}, and TERMINALS_TEST_REQUIRE asks for it`);
  return `skipped: ${missing}`;
}

interface NodeList {
  readonly items: readonly {
    readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
  }[];
}

/** False where KUBECONFIG names a cluster that answers, else why the test is skipped. Throws where Kubernetes is required. */
export async function withoutCluster(): Promise<string | false> {
  return (await patiently('kubernetes', nodes)) === null ? missingCluster('cluster') : false;
}

/** As withoutCluster, for tests whose Pods have to run. */
export async function withoutNode(): Promise<string | false> {
  const ready = await patiently('kubernetes', async () => {
    const isReady = (await nodes())?.items.some(({ status }) =>
      status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True'),
    );
    return isReady || null;
  });
  return ready === null ? missingCluster('cluster with a node') : false;
}

function missingCluster(what: string): string {
  if (required.includes('kubernetes'))
    throw new Error(`KUBECONFIG names no ${what} that answers, and TERMINALS_TEST_REQUIRE asks for one`);
  return `skipped: no ${what}`;
}

async function nodes(): Promise<NodeList | null> {
  if (!process.env.KUBECONFIG) return null;
  const config = new KubeConfig();
  try {
    config.loadFromDefault();
    const client = new KubeClient(config);
    try {
      return await client.request<NodeList>('GET', '/api/v1/nodes', { signal: AbortSignal.timeout(5_000) });
    } finally {
      await client.close();
    }
  } catch {
    return null;
  }
}
