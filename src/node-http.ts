/**
 * Node's `node:http`, which everything here takes from this module: an `import` of it by name reads its every export, `WebSocket`
 * among them, for which Node then loads a whole HTTP client that is not used here: a twentieth of a start.
 * @module
 */
export const http = process.getBuiltinModule('node:http');
