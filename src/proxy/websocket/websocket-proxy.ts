/**
 * WebSockets from upgrade to splice: accept, hear the first message, ask where to go, connect, join.
 * @module
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Address } from '../../terminal/terminal.ts';
import { farewellMs, part } from '../part.ts';
import { type ControlFrame, type FirstMessage, FirstMessageReader } from './first-message.ts';
import { encodeClose, encodeFrame, opcodes, ProtocolError } from './frames.ts';
import { acceptClient, connectTerminal, HandshakeError, type TerminalSocket } from './handshake.ts';
import { Splice, type SpliceOptions } from './splice.ts';

/** Where an admitted WebSocket goes. */
export interface Admission {
  readonly address: Address;
  /** The terminal's own key, for its first frame. */
  readonly apiKey: string;
  /** Path and query for the terminal. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** So many bytes were passed on. */
  touch(bytes: number): void;
  /** It is connected with the terminal; `part` follows. */
  join(): void;
  part(): void;
  /** The terminal could not be connected to. */
  unreachable(): void;
}

/** Why a WebSocket is closed, in the client's contract: 4001, 4002, 4003, 4004. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly closeCode: number;
  constructor(closeCode: number, reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.closeCode = closeCode;
  }
}

export interface WebSocketProxyOptions {
  /** null: the request is admitted by itself, so that the first message need not be waited for; else why it is not. */
  refusesEarly(request: IncomingMessage): Promise<Refusal | null>;
  /**
   * Decides where it goes.
   * @param token of the auth message; null where none came
   * @throws Refusal
   */
  admit(request: IncomingMessage, token: string | null, signal: AbortSignal): Promise<Admission>;
  /** Told once for each WebSocket: how it came in, or why it did not. */
  outcome(request: IncomingMessage, refusal: Refusal | null): void;
  readonly firstMessageTimeoutMs?: number;
  readonly firstMessageBytes?: number;
  readonly connectTimeoutMs?: number;
}

/** Far more than a client sends in the time that it has for its first message. */
const mostControlFrames = 100;

export class WebSocketProxy {
  readonly #options: WebSocketProxyOptions;
  readonly #splices = new Set<Splice>();
  /** Sockets that are not spliced yet. */
  readonly #entering = new Set<Duplex>();
  #closing: { code: number; reason: string } | null = null;

  constructor(options: WebSocketProxyOptions) {
    this.#options = options;
  }

  /** How many WebSockets are open. */
  get open(): number {
    return this.#splices.size + this.#entering.size;
  }

  /** For the `upgrade` event of an HTTP server; never throws. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    if (isTcp(socket)) socket.setNoDelay(true).setKeepAlive(true, 30_000).setTimeout(0);
    if (this.#closing) {
      part(socket, 'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    if (!acceptClient(request, socket)) return;
    void this.#enter(request, socket, head);
  }

  /** Closes all with this code; resolves when they are gone, at the latest after `graceMs`. */
  async closeAll(code: number, reason: string, graceMs: number): Promise<void> {
    this.#closing = { code, reason };
    for (const socket of this.#entering) part(socket, encodeClose(code, reason, false));
    for (const splice of this.#splices) splice.close(code, reason);
    const until = performance.now() + graceMs + farewellMs;
    while (this.#splices.size > 0 && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 20));
  }

  async #enter(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const gone = new AbortController();
    const onGone = () => gone.abort(new Refusal(1006, 'the client went away'));
    // The end of what it sends comes without a close, since an HTTP server's sockets may stay half open.
    socket.once('close', onGone).once('end', onGone);
    this.#entering.add(socket);
    let refusal: Refusal | null = null;
    try {
      const early = await this.#options.refusesEarly(request);
      if (early === null) await this.#joinEarly(request, socket, head, gone.signal);
      else await this.#joinAfterFirst(request, socket, head, early, gone.signal);
    } catch (error) {
      refusal = refusalOf(error);
      part(socket, encodeClose(refusal.closeCode, refusal.message, false));
    } finally {
      socket.off('close', onGone).off('end', onGone);
      this.#entering.delete(socket);
    }
    this.#options.outcome(request, refusal);
  }

  async #joinAfterFirst(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    early: Refusal,
    signal: AbortSignal,
  ): Promise<void> {
    const first = await this.#firstMessage(socket, head, early, signal);
    const admission = await this.#options.admit(request, first.token, signal);
    const terminal = await this.#connect(admission, signal);
    this.#splice(socket, terminal, admission, Buffer.concat([first.passOn, first.rest]));
  }

  /** Nothing is waited for; if an auth message comes first all the same, it does not reach the terminal. */
  async #joinEarly(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    signal: AbortSignal,
  ): Promise<void> {
    const admission = await this.#options.admit(request, null, signal);
    const terminal = await this.#connect(admission, signal);
    const splice = this.#splice(socket, terminal, admission, Buffer.alloc(0), this.#withoutAuth());
    if (head.length > 0) splice.push(head, Buffer.alloc(0));
  }

  /** Control frames go on at once, so that pings are answered; an auth message ends here. */
  #withoutAuth(): NonNullable<SpliceOptions['filter']> {
    const controls: Buffer[] = [];
    const reader = new FirstMessageReader(this.#limits().limit, ({ frame }) => controls.push(frame));
    const read = (chunk: Buffer): readonly Buffer[] | null => {
      try {
        const first = reader.push(chunk);
        return first && [first.passOn, first.rest];
      } catch (error) {
        // Too large for an auth message: it is the terminal's.
        if (error instanceof ProtocolError && error.closeCode === 1009) return [reader.held];
        throw error;
      }
    };
    return (chunk) => {
      const message = read(chunk);
      return { passOn: Buffer.concat([...controls.splice(0), ...(message ?? [])]), done: message !== null };
    };
  }

  #limits() {
    const {
      firstMessageTimeoutMs = 10_000,
      firstMessageBytes = 64 * 1024,
      connectTimeoutMs = 5_000,
    } = this.#options;
    return { timeoutMs: firstMessageTimeoutMs, limit: firstMessageBytes, connectTimeoutMs };
  }

  /** @param early what it is refused with where none comes */
  #firstMessage(socket: Duplex, head: Buffer, early: Refusal, signal: AbortSignal): Promise<FirstMessage> {
    const { timeoutMs, limit } = this.#limits();
    return new Promise((resolve, reject) => {
      const reader = new FirstMessageReader(limit, answering(socket));
      const reason = `no auth message within ${timeoutMs / 1000} seconds: ${early.message}`;
      const timer = setTimeout(
        () => done(() => reject(new Refusal(early.closeCode, reason, { cause: early.cause }))),
        timeoutMs,
      );
      const abort = () => done(() => reject(signal.reason));
      const done = (settle: () => void) => {
        clearTimeout(timer);
        socket.off('data', take).pause();
        signal.removeEventListener('abort', abort);
        settle();
      };
      const take = (chunk: Buffer) => {
        try {
          const first = reader.push(chunk);
          if (first !== null) done(() => resolve(first));
        } catch (error) {
          done(() => reject(error));
        }
      };
      signal.addEventListener('abort', abort, { once: true });
      socket.on('data', take);
      if (head.length > 0) take(head);
    });
  }

  async #connect(admission: Admission, signal: AbortSignal): Promise<TerminalSocket> {
    const { address, path, headers, apiKey } = admission;
    try {
      const terminal = await connectTerminal(address, path, headers, this.#limits().connectTimeoutMs, signal);
      terminal.socket.on('error', () => terminal.socket.destroy());
      if (isTcp(terminal.socket)) terminal.socket.setNoDelay(true).setKeepAlive(true, 30_000);
      const auth = Buffer.from(JSON.stringify({ type: 'auth', token: apiKey }));
      terminal.socket.write(encodeFrame(opcodes.text, auth, true));
      return terminal;
    } catch (error) {
      if (error instanceof HandshakeError && error.status === null) admission.unreachable();
      throw error;
    }
  }

  #splice(
    client: Duplex,
    { socket: terminal, head }: TerminalSocket,
    admission: Admission,
    fromClient: Buffer,
    filter?: SpliceOptions['filter'],
  ): Splice {
    const splice: Splice = new Splice({
      client,
      terminal,
      touch: admission.touch,
      ended: () => {
        this.#splices.delete(splice);
        admission.part();
      },
      ...(filter ? { filter } : {}),
    });
    this.#splices.add(splice);
    admission.join();
    splice.push(fromClient, head);
    if (this.#closing) splice.close(this.#closing.code, this.#closing.reason);
    return splice;
  }
}

/** Nobody else can answer a ping yet; pongs that a client does not read are kept in memory, so that they are counted. */
function answering(socket: Duplex): (control: ControlFrame) => void {
  let count = 0;
  return ({ opcode, payload }) => {
    count += 1;
    if (count > mostControlFrames)
      throw new Refusal(1008, 'too many control frames before the first message');
    if (opcode === opcodes.ping) socket.write(encodeFrame(opcodes.pong, payload, false));
    if (opcode === opcodes.close) throw new Refusal(1000, 'the client closed');
  };
}

function isTcp(socket: Duplex): socket is Socket {
  return 'setNoDelay' in socket;
}

/** Every failure before the splice as a close code of the client's contract. */
function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof ProtocolError) return new Refusal(error.closeCode, error.message, { cause: error });
  if (error instanceof HandshakeError) {
    // Open Terminal refuses a session it does not know with 403 before it speaks WebSocket.
    const code = error.status === 403 || error.status === 404 ? 4004 : 4003;
    return new Refusal(
      code,
      code === 4004 ? 'the terminal knows no such session' : `terminal unreachable: ${error.message}`,
      { cause: error },
    );
  }
  return new Refusal(1011, 'internal error', { cause: error });
}
