/**
 * Calls between two processes by messages, in their order: one side asks, the other answers, and who waits no longer says so.
 * @module
 */
import { errorOf, type Failure, failureOf } from './failure.ts';

/** What is said, and what comes back. */
export interface Call<Body, Answer = void> {
  readonly body: Body;
  readonly answer: Answer;
}

/** An interface of calls by name. */
export type Calls<Names> = { readonly [Name in keyof Names]: Call<unknown, unknown> };

/** What answers the calls of the other side. The signal aborts when nobody waits for the answer any more. */
export type Handlers<In extends Calls<In>> = {
  readonly [Name in keyof In]: (
    body: In[Name]['body'],
    signal: AbortSignal,
  ) => In[Name]['answer'] | Promise<In[Name]['answer']>;
};

export type Message =
  /** Without an id nobody waits for an answer. */
  | { readonly kind: 'call'; readonly name: string; readonly id: number | null; readonly body: unknown }
  | { readonly kind: 'abort'; readonly id: number }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly failure: Failure };

interface Asked {
  resolve(answer: unknown): void;
  reject(error: unknown): void;
}

/** Nobody waits, so that nobody can go away. */
const never = new AbortController().signal;

type Handler = (body: unknown, signal: AbortSignal) => unknown;

export class Channel<Out extends Calls<Out>, In extends Calls<In>> {
  readonly #post: (message: Message) => void;
  readonly #handlers: Readonly<Record<string, Handler>>;
  readonly #asked = new Map<number, Asked>();
  readonly #serving = new Map<number, AbortController>();
  #closed: Error | null = null;
  #last = 0;

  /** @param post sends to the other side, where it is still there; never throws */
  constructor(post: (message: Message) => void, handlers: Handlers<In>) {
    this.#post = post;
    // Both sides are the same program, so that a call by this name has this body.
    this.#handlers = handlers as Readonly<Record<string, Handler>>;
  }

  /** Says something that is not answered. */
  tell<Name extends keyof Out & string>(name: Name, body: Out[Name]['body']): void {
    if (this.#closed === null) this.#post({ kind: 'call', name, id: null, body });
  }

  /** @throws what the other side throws, the signal's reason, or what the channel was closed with */
  async ask<Name extends keyof Out & string>(
    name: Name,
    body: Out[Name]['body'],
    signal?: AbortSignal,
  ): Promise<Out[Name]['answer']> {
    if (this.#closed !== null) throw this.#closed;
    signal?.throwIfAborted();
    this.#last += 1;
    const id = this.#last;
    const asked = Promise.withResolvers<Out[Name]['answer']>();
    const abort = () => {
      this.#post({ kind: 'abort', id });
      asked.reject(signal?.reason);
    };
    this.#asked.set(id, asked);
    signal?.addEventListener('abort', abort, { once: true });
    this.#post({ kind: 'call', name, id, body });
    try {
      return await asked.promise;
    } finally {
      this.#asked.delete(id);
      signal?.removeEventListener('abort', abort);
    }
  }

  /** A message came from the other side. */
  receive(message: Message): void {
    if (this.#closed !== null) return;
    switch (message.kind) {
      case 'call':
        if (message.id === null) this.#handlers[message.name]?.(message.body, never);
        else void this.#serve(message.name, message.id, message.body);
        return;
      case 'abort':
        this.#serving.get(message.id)?.abort();
        return;
      case 'answer':
        this.#asked.get(message.id)?.resolve(message.answer);
        return;
      case 'failure':
        this.#asked.get(message.id)?.reject(errorOf(message.failure));
        return;
    }
  }

  /** The other side is gone: who waits hears why, and nothing is done for it any more. */
  close(why: Error): void {
    this.#closed = why;
    for (const { reject } of this.#asked.values()) reject(why);
    for (const serving of this.#serving.values()) serving.abort(why);
  }

  async #serve(name: string, id: number, body: unknown): Promise<void> {
    const serving = new AbortController();
    this.#serving.set(id, serving);
    try {
      const answer = await this.#handlers[name]?.(body, serving.signal);
      if (this.#closed === null) this.#post({ kind: 'answer', id, answer });
    } catch (error) {
      if (this.#closed === null) this.#post({ kind: 'failure', id, failure: failureOf(error) });
    } finally {
      this.#serving.delete(id);
    }
  }
}
