/** A WebSocket client that costs next to nothing: frames made once, answers counted, nothing parsed. @module */
import { randomBytes } from 'node:crypto';
import net from 'node:net';

export interface SocketOptions {
  /** http://host:port/path */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** For the first frame. */
  readonly token: string;
}

/** A masked frame of a client; the mask is zero, which nobody can tell from another by its cost. */
export function clientFrame(opcode: number, payload: Buffer): Buffer {
  return Buffer.concat([header(opcode, payload.length, 0x80), Buffer.alloc(4), payload]);
}

/** Length of the unmasked frame that echoes so many bytes. */
export function echoedLength(payload: number): number {
  return header(2, payload, 0).length + payload;
}

function header(opcode: number, length: number, mask: number): Buffer {
  if (length < 126) return Buffer.from([0x80 | opcode, mask | length]);
  if (length < 65_536) return Buffer.from([0x80 | opcode, mask | 126, length >> 8, length & 255]);
  const long = Buffer.from([0x80 | opcode, mask | 127, 0, 0, 0, 0, 0, 0, 0, 0]);
  long.writeUInt32BE(length, 6);
  return long;
}

/** Connects, upgrades, authenticates. The first echo tells whether it was let in. */
export function openSocket({ url, headers, token }: SocketOptions): Promise<net.Socket> {
  const { hostname, port, pathname, search } = new URL(url);
  const socket = net.connect({ host: hostname, port: Number(port), noDelay: true });
  const upgrade = {
    host: `${hostname}:${port}`,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': randomBytes(16).toString('base64'),
    ...headers,
  };
  const lines = Object.entries(upgrade).map(([name, value]) => `${name}: ${value}`);
  socket.write(`GET ${pathname}${search} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
  return new Promise((resolve, reject) => {
    let head = '';
    const hear = (chunk: Buffer) => {
      head += chunk.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', hear).off('error', reject);
      if (!head.startsWith('HTTP/1.1 101')) {
        reject(new Error(`no upgrade: ${head.split('\r\n')[0]}`));
        return;
      }
      socket.write(clientFrame(1, Buffer.from(JSON.stringify({ type: 'auth', token }))));
      resolve(socket);
    };
    socket.on('data', hear).once('error', reject);
  });
}
