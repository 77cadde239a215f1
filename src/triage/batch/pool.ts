/** Work may be so far ahead of the first that is not done: what is done waits for it. */
const AHEAD = 256;

/**
 * Does work for numbers from 0 on, several at a time, begun in their order.
 *
 * @throws what the work throws, when the rest that was begun has ended
 */
export async function inTurns(
  count: number,
  atOnce: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  const running = new Map<number, Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  const begin = (index: number): void => {
    const one = work(index)
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => running.delete(index));
    running.set(index, one);
  };
  for (let next = 0; next < count && failure === undefined; ) {
    const first = Math.min(next, ...running.keys());
    if (running.size < atOnce && next < first + AHEAD) begin(next++);
    else await Promise.race(running.values());
  }
  await Promise.all(running.values());
  if (failure) throw failure.error;
}
