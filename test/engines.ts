/**
 * What a test needs and a machine may lack. A missing engine is a skip with its reason, or a failure where
 * TERMINALS_TEST_REQUIRE names it (as CI does).
 */
import { dockerAnswers } from '../src/backend/docker/engine.ts';

const required = (process.env.TERMINALS_TEST_REQUIRE ?? '').split(',').map((name) => name.trim());

/** False where Docker answers, else why the test is skipped. Throws where Docker is required. */
export async function withoutDocker(): Promise<string | false> {
  if (await dockerAnswers()) return false;
  if (required.includes('docker'))
    throw new Error('no Docker engine answers, and TERMINALS_TEST_REQUIRE asks for one');
  return 'skipped: no Docker engine';
}
