import type { Kernel } from '../../kernel/kernel.js';
import { NapiReader } from '../../walk/network/gro.js';
import { neighbourSkbs } from '../../walk/network/neighbours.js';
import { fragmentSkbs } from '../../walk/network/reassembly.js';
import { softnetSkbs } from '../../walk/network/softnet.js';
import type { NetworkPages } from '../../walk/pages/network-pages.js';
import type { Tally } from '../tally.js';
import { otherPages } from './other-pages.js';
import { pageFragments } from './page-fragments.js';
import { pagePools } from './page-pools.js';
import { type AnyStep, type LedgerEntry, runSteps } from './pipeline.js';
import { qdiscs } from './qdiscs.js';
import { receiveRings } from './receive-rings.js';
import { slabRows } from './slab-objects.js';
import { softwareRings } from './software-rings.js';
import { type LedgerTools, ledgerTools } from './tools.js';
import { waiting } from './waiting-packets.js';
import { xdpRingPages } from './xdp-ring-pages.js';

/**
 * What of the network's memory is in no socket's queue: packets on their way through the machine,
 * pages kept to cut fragments from, receive rings; and whether any skb is left that nothing explains.
 *
 * @param seen what the scan over all page frames told
 * @param sockets what all sockets hold together
 * @param socks addresses of all of them
 */
export function* ledger(
  kernel: Kernel,
  seen: NetworkPages,
  sockets: Tally,
  socks: readonly bigint[],
): Generator<LedgerEntry> {
  const tools = ledgerTools(kernel, seen);
  // A row of rings that has none is left out.
  for (const entry of runSteps(kernel.facts.pageSize, sockets, inOrder(tools, socks)))
    if (entry.row.code !== 'xdp-rings' || entry.row.objects !== 0) yield entry;
}

/** The rows, as they are counted: the first that holds a page has it. */
function* inOrder(tools: LedgerTools, socks: readonly bigint[]): Generator<AnyStep> {
  const { kernel, lists, devices } = tools;
  yield waiting(tools, 'cpu-queues', () => softnetSkbs(kernel, lists));
  yield qdiscs(tools);
  yield waiting(tools, 'ip-fragments', () => fragmentSkbs(kernel, lists));
  yield waiting(tools, 'neighbours', () => neighbourSkbs(kernel, lists));
  yield waiting(tools, 'gro', () => {
    const reader = new NapiReader(kernel, lists);
    return devices().flatMap((device) => [...reader.ofDevice(device)]);
  });
  yield pageFragments(tools, socks);
  yield pagePools(tools);
  // Then rings: not every engine knows the types of modules, and what it cannot walk it leaves as it is.
  yield* receiveRings(tools);
  yield* softwareRings(tools);
  yield xdpRingPages(tools);
  // What is left of all skbs, and of all pages.
  yield* slabRows(tools);
  yield otherPages(tools);
}
