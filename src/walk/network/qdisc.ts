import { damaged } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, perCpuAddress } from '../cpus.js';
import { readPartOf } from '../named-read.js';
import type { SkbLists } from '../queues/skb-lists.js';
import { StructReader } from '../struct-reader.js';
import type { NetDevice } from './net-devices.js';

/** Packets queued for transmission in the qdisc of a transmit queue (include/net/sch_generic.h). */
export interface QdiscContent {
  /** Address of the `struct Qdisc`: queues of a device can share one. */
  readonly qdisc: bigint;
  /** Number of skbs that it counts in its own structures, which differ by kind. */
  readonly queued: number;
  /** Skbs that the network core has requeued. */
  readonly requeued: readonly bigint[];
}

/** Flag of a qdisc with per-CPU counters (`TCQ_F_CPUSTATS`, include/net/sch_generic.h). */
const CPU_STATS = 0x20;

const POINTER_BYTES = 8;

/** Finds the packets queued in the qdiscs of devices; each qdisc once. */
export class QdiscReader {
  readonly #kernel: Kernel;
  readonly #lists: SkbLists;
  readonly #queue;
  readonly #qdisc;
  readonly #seen = new Set<bigint>();

  constructor(kernel: Kernel, lists: SkbLists) {
    this.#kernel = kernel;
    this.#lists = lists;
    this.#queue = new StructReader(kernel, 'netdev_queue', ['qdisc']);
    this.#qdisc = new StructReader(kernel, 'Qdisc', [
      'flags',
      'q.qlen',
      'qstats.backlog',
      'cpu_qstats',
      'gso_skb',
      'skb_bad_txq',
    ]);
  }

  *ofDevice(device: NetDevice): Generator<QdiscContent> {
    for (let index = 0; index < device.queues; index++) {
      const queue = this.#queue.read(this.#queue.element(device.firstQueue, index));
      const qdisc = queue.pointer('qdisc');
      if (qdisc === 0n || this.#seen.has(qdisc)) continue;
      this.#seen.add(qdisc);
      const view = this.#qdisc.read(qdisc);
      // Lists with heads since 4.16.
      const putBack = (['gso_skb', 'skb_bad_txq'] as const).flatMap((name) =>
        this.#qdisc.members[name].size === POINTER_BYTES
          ? [...this.#lists.chain(view.pointer(name))]
          : [...this.#lists.ring(view.addressOf(name))],
      );
      let counted = view.number('q.qlen');
      let bytes = view.number('qstats.backlog');
      if (view.number('flags') & CPU_STATS) {
        const sum = this.#perCpu(view.pointer('cpu_qstats'));
        counted += sum.packets;
        bytes += sum.bytes;
      }
      if (counted > bytes) {
        throw damaged(`the qdisc at ${hex(qdisc)} counts ${counted} packets of ${bytes} bytes`);
      }
      // If counts are kept, they include requeued packets.
      yield { qdisc, queued: Math.max(0, counted - putBack.length), requeued: putBack };
    }
  }

  /** Sum of `gnet_stats_queue`: one CPU's may be negative if another one dequeues its packets. */
  #perCpu(stats: bigint): { packets: number; bytes: number } {
    const reader = new StructReader(this.#kernel, 'gnet_stats_queue', ['qlen', 'backlog']);
    const { qlen, backlog } = reader.members;
    const sum = { packets: 0, bytes: 0 };
    for (const cpu of cpuMask(this.#kernel, '__cpu_possible_mask')) {
      const at = perCpuAddress(this.#kernel, stats, cpu);
      const number = (offset: number): number => {
        const from = at + BigInt(offset);
        return readPartOf(this.#kernel, 'struct gnet_stats_queue', at, from, 4).getInt32(0, true);
      };
      sum.packets += number(qlen.offset);
      sum.bytes += number(backlog.offset);
    }
    return sum;
  }
}
