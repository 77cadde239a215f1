import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, needSymbol, numaNodes, perCpuAddress } from '../machine/cpus.js';
import { pointerPartOf } from '../named-read.js';
import type { SkbLists } from '../queues/skb-lists.js';

/**
 * Skbs that wait in a CPU's own queues (`softnet_data`, net/core/dev.c): received and not handed up,
 * sent and not freed, freed on another CPU and on their way home.
 *
 * @throws {KernelError} `no-symbols`, `damaged`; {@link ReadError}
 */
export function* softnetSkbs(kernel: Kernel, lists: SkbLists): Generator<bigint> {
  const data = needSymbol(kernel, 'softnet_data');
  const layout = kernel.struct('softnet_data');
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    const own = perCpuAddress(kernel, data, cpu);
    const pointer = (offset: number) =>
      pointerPartOf(kernel, 'struct softnet_data', own, own + BigInt(offset));
    for (const name of ['input_pkt_queue', 'process_queue', 'xfrm_backlog']) {
      const ring = layout?.member(name);
      if (!ring) continue;
      // A CPU that never came up has its queues zeroed, not set up.
      if (pointer(ring.offset) !== 0n) yield* lists.ring(own + BigInt(ring.offset));
    }
    for (const name of ['completion_queue', 'defer_list']) {
      const first = layout?.member(name);
      if (first) yield* lists.chain(pointer(first.offset));
    }
    yield* deferred(kernel, lists, cpu);
  }
}

/** Since 6.18 the deferred ones lie in a list for each CPU and node: `net_hotdata.skb_defer_nodes`. */
function* deferred(kernel: Kernel, lists: SkbLists, cpu: number): Generator<bigint> {
  const member = kernel.struct('net_hotdata')?.member('skb_defer_nodes');
  const node = kernel.struct('skb_defer_node');
  const list = node?.member('defer_list.first');
  const hot = kernel.symbol('net_hotdata');
  if (!member || !node || !list || hot === undefined) return;
  const perCpu = pointerPartOf(kernel, 'net_hotdata', hot, hot + BigInt(member.offset));
  if (perCpu === 0n) return;
  const nodes = numaNodes(kernel);
  const own = perCpuAddress(kernel, perCpu, cpu);
  for (let index = 0; index < nodes; index++) {
    const at = own + BigInt(index * node.size);
    const first = pointerPartOf(kernel, 'struct skb_defer_node', at, at + BigInt(list.offset));
    yield* lists.chain(first);
  }
}
