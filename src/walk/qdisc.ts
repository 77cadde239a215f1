import type { Kernel } from '../kernel/kernel.js';
import { cpuMask, perCpuAddress } from './cpus.js';
import type { NetDevice } from './net-devices.js';
import type { SkbLists } from './queues/skb-lists.js';
import { StructReader } from './struct-reader.js';

/** Packets that wait to be sent, in the qdisc of a transmit queue (include/net/sch_generic.h). */
export interface QdiscContent {
  /** Address of the `struct Qdisc`: queues of a device can share one. */
  readonly qdisc: bigint;
  /** How many skbs it counts in its own structures, which differ by kind. */
  readonly queued: number;
  /** Skbs that the core has put back. */
  readonly putBack: readonly bigint[];
}

/** It keeps its counts for each CPU (`TCQ_F_CPUSTATS`, include/net/sch_generic.h). */
const CPU_STATS = 0x20;

/** Finds what waits in the qdiscs of devices; each qdisc once. */
export class QdiscReader {
  readonly #kernel: Kernel;
  readonly #lists: SkbLists;
  readonly #queue;
  readonly #qdisc;
  readonly #seen = new Set<bigint>();

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel, lists: SkbLists) {
    this.#kernel = kernel;
    this.#lists = lists;
    this.#queue = new StructReader(kernel, 'netdev_queue', ['qdisc']);
    this.#qdisc = new StructReader(kernel, 'Qdisc', [
      'flags',
      'q.qlen',
      'cpu_qstats',
      'gso_skb',
      'skb_bad_txq',
    ]);
  }

  /** @throws {ReadError}, {@link TornList} */
  *ofDevice(device: NetDevice): Generator<QdiscContent> {
    for (let index = 0; index < device.queues; index++) {
      const queue = this.#queue.read(device.firstQueue + BigInt(index * this.#queue.size));
      const qdisc = queue.pointer('qdisc');
      if (qdisc === 0n || this.#seen.has(qdisc)) continue;
      this.#seen.add(qdisc);
      const view = this.#qdisc.read(qdisc);
      const putBack = [
        ...this.#lists.ring(view.addressOf('gso_skb')),
        ...this.#lists.ring(view.addressOf('skb_bad_txq')),
      ];
      let counted = view.number('q.qlen');
      if (view.number('flags') & CPU_STATS) counted += this.#perCpu(view.pointer('cpu_qstats'));
      // Where counts are kept, they include what was put back.
      yield { qdisc, queued: Math.max(0, counted - putBack.length), putBack };
    }
  }

  /** Σ `gnet_stats_queue.qlen`: one CPU's may be negative, as another takes out what it put in. */
  #perCpu(stats: bigint): number {
    const { qlen } = new StructReader(this.#kernel, 'gnet_stats_queue', ['qlen']).members;
    let sum = 0;
    for (const cpu of cpuMask(this.#kernel, '__cpu_possible_mask')) {
      const at = perCpuAddress(this.#kernel, stats, cpu) + BigInt(qlen.offset);
      sum += this.#kernel.read(at, 4).getInt32(0, true);
    }
    return sum;
  }
}
