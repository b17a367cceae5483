/** Long enough for whatever is under way to show: some turns of the event loop, no time on the clock. */
export async function turns(count = 30): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
