import type { Tally } from '../tally.js';
import type { Known } from './pipeline.js';
import type { LedgerTools } from './tools.js';

/** Packets, and what they pin that nothing before them does: null where not all of it can be told. */
export interface Packets {
  readonly packets: number;
  readonly bytes: number | null;
  readonly holds: Tally;
}

/** Counts packets. @throws {KernelError}, {@link ReadError} */
export function packetsOf(
  { skbs, newTally }: Pick<LedgerTools, 'skbs' | 'newTally'>,
  known: Known,
  found: Iterable<bigint>,
): Packets {
  const holds = newTally();
  for (const skb of found) holds.skb(skbs.read(skb, holds));
  const figures = holds.figures();
  if (figures.skbs === 0) return { packets: 0, bytes: 0, holds };
  const bytes = figures.complete ? known.missingBytes(holds) : null;
  return { packets: figures.skbs, bytes, holds };
}

/** The row of packets that wait in one kind of place. */
export function waiting<Code extends 'cpu-queues' | 'ip-fragments' | 'neighbours' | 'gro'>(
  tools: LedgerTools,
  code: Code,
  find: () => Iterable<bigint>,
) {
  return {
    code,
    count(known: Known) {
      const { packets, bytes, holds } = packetsOf(tools, known, find());
      return { status: 'counted', objects: packets, bytes, figures: { packets }, holds } as const;
    },
  };
}
