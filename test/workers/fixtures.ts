/** The two sides of a channel without a process between them: what is sent is copied, and comes later, in its order. */
import { type Calls, Channel, type Handlers, type Message } from '../../src/workers/channel.ts';

/** How many turns of the event loop a message takes. */
export type Delay = () => number;

/** @returns who asks `Right`, and who asks `Left` */
export function connected<Right extends Calls<Right>, Left extends Calls<Left>>(
  left: Handlers<Left>,
  right: Handlers<Right>,
  delay: Delay = () => 1,
): [left: Channel<Right, Left>, right: Channel<Left, Right>] {
  const ends: [Channel<Right, Left>, Channel<Left, Right>] = [
    new Channel<Right, Left>(
      later((message) => ends[1].receive(message), delay),
      left,
    ),
    new Channel<Left, Right>(
      later((message) => ends[0].receive(message), delay),
      right,
    ),
  ];
  return ends;
}

function later(deliver: (message: Message) => void, delay: Delay): (message: Message) => void {
  let before: Promise<unknown> = Promise.resolve();
  return (message) => {
    const copy = structuredClone(message);
    before = before.then(async () => {
      for (let turn = delay(); turn > 0; turn -= 1) await new Promise((resolve) => setImmediate(resolve));
      deliver(copy);
    });
  };
}
