/**
 * What a walk finds, kept for those who ask again: it goes on from where it was, and fails for each of
 * them as it failed for the first.
 */
export function remembered<Item>(walk: () => Iterable<Item>): () => Generator<Item> {
  const found: Item[] = [];
  let rest: Iterator<Item> | undefined;
  let failure: unknown;
  let ended = false;
  return function* () {
    rest ??= walk()[Symbol.iterator]();
    for (let index = 0; ; index++) {
      while (index >= found.length && !ended) {
        try {
          const next = rest.next();
          if (next.done) ended = true;
          else found.push(next.value);
        } catch (error) {
          failure = error;
          ended = true;
        }
      }
      if (index >= found.length) break;
      yield found[index]!;
    }
    if (failure !== undefined) throw failure;
  };
}
