/** Bare Fastify and @fastify/reply-from with a static upstream: `node reply-from-server.ts PORT http://UPSTREAM`. @module */
import replyFrom from '@fastify/reply-from';
import Fastify from 'fastify';

const [port, base = ''] = process.argv.slice(2);
const app = Fastify({ logger: false });
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
app.register(replyFrom, { base });
app.all('/*', (request, reply) => reply.from(request.url));
await app.listen({ host: '127.0.0.1', port: Number(port) });
// An orderly end, so that a profile is written.
process.on('SIGTERM', () => process.exit(0));
