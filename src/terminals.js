#!/usr/bin/env node
// Plain JavaScript that every Node.js understands, so that one that is too old says so in words.
const required = 24;
if (Number(process.versions.node.split('.')[0]) < required) {
  process.stderr.write(
    `Terminals needs Node.js ${required} or later, and this is ${process.version}. ` +
      'Install a newer one, or start it with "npm start" in its own directory, which brings one along.\n',
  );
  process.exitCode = 1;
} else {
  import('node:module')
    .then((module) => {
      module.enableCompileCache();
      return import('./run.ts');
    })
    .catch((error) => {
      process.stderr.write(`terminals: ${error && error.stack ? error.stack : error}\n`);
      process.exitCode = 1;
    });
}
