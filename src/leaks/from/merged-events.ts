/** Events of several files as one, by their time. Each file is in order itself. */
export async function* mergedEvents<T extends { readonly time: number }>(
  streams: readonly AsyncGenerator<T[]>[],
): AsyncGenerator<T[]> {
  const [only] = streams;
  if (only && streams.length === 1) {
    yield* only;
    return;
  }
  const heads = streams.map((stream) => ({ stream, events: [] as T[], at: 0, ended: false }));
  for (;;) {
    for (const head of heads)
      while (!head.ended && head.at >= head.events.length) {
        const next = await head.stream.next();
        head.ended = next.done === true;
        head.events = next.done ? [] : next.value;
        head.at = 0;
      }
    const open = heads.filter((head) => !head.ended);
    if (open.length === 0) return;
    const merged: T[] = [];
    // Until one of them has to be read on.
    while (open.every((head) => head.at < head.events.length)) {
      let first: (typeof open)[number] | undefined;
      let least = Number.POSITIVE_INFINITY;
      for (const head of open) {
        const time = head.events[head.at]?.time ?? 0;
        if (first && time >= least) continue;
        first = head;
        least = time;
      }
      const event = first?.events[first.at];
      if (!first || !event) break;
      merged.push(event);
      first.at++;
    }
    yield merged;
  }
}
