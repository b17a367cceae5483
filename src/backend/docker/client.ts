/**
 * The client library of the engine, without what it loads for BuildKit sessions and for engines behind ssh: gRPC, Protocol Buffers
 * and an ssh client are an eighth of a start and 10 MiB, and hardly anybody's engine needs them.
 * @module
 */
import { createRequire, Module } from 'node:module';
import type Dockerode from 'dockerode';

const require = createRequire(import.meta.url);
const inDockerode = createRequire(require.resolve('dockerode'));

/** Both export one function, in whose place stands one that loads it when it is called. */
function loadWhenCalled(file: string): void {
  const stub = new Module(file);
  stub.exports = (...parameters: readonly unknown[]) => {
    if (require.cache[file] === stub) delete require.cache[file];
    return require(file)(...parameters);
  };
  stub.loaded = true;
  require.cache[file] ??= stub;
}

loadWhenCalled(inDockerode.resolve('./session'));
loadWhenCalled(inDockerode.resolve('docker-modem/lib/ssh'));

export type Docker = Dockerode;
export const Docker: typeof Dockerode = require('dockerode');
