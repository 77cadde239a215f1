import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { again } from '../again.js';
import { changingListNodes } from '../list.js';
import { cpuMask, perCpuAddress } from '../machine/cpus.js';
import { readPartOf } from '../named-read.js';
import { memberOf, struct } from '../pages/struct-page.js';
import { StructReader } from '../struct-reader.js';
import { zones } from './zones.js';

/** A free block that a CPU keeps for itself, outside the buddy allocator. */
export interface ListedBlock {
  readonly frame: number;
  /** log2 of its base pages. */
  readonly order: number;
}

/** Each follows the changes of a list. */
const TRIES = 3;

/** PAGE_ALLOC_COSTLY_ORDER: up to it each order has lists of its own (5.13). */
const COSTLY_ORDER = 3;

/**
 * The free pages in the lists of CPUs (`per_cpu_pages`), which no counter and no page flag tells.
 *
 * @throws {KernelError} `damaged` if a list has other pages than it counts, `no-symbols`,
 *   `unsupported-layout`; {@link TornList}; {@link ReadError}
 */
export function* cpuLists(kernel: Kernel): Generator<ListedBlock> {
  // Apart from the counters of a CPU since 5.14.
  const own = kernel.struct('zone')?.member('per_cpu_pageset') !== undefined;
  const pointer = own ? 'per_cpu_pageset' : 'pageset';
  const [type, within] = own ? ['per_cpu_pages', ''] : ['per_cpu_pageset', 'pcp.'];
  const lists = new StructReader(kernel, type, [`${within}lists`]).members[`${within}lists`]!;
  const count = new StructReader(kernel, type, [`${within}count`]);
  const zone = new StructReader(kernel, 'zone', [pointer]);
  const page = struct(kernel, 'page');
  const node = BigInt((page.member('pcp_list') ?? memberOf(page, 'lru')).offset);
  const types = Number(kernel.enumerators('migratetype')?.get('MIGRATE_PCPTYPES') ?? lists.count);
  const at = new Pointer();
  for (const { address } of zones(kernel)) {
    const first = zone.read(address).pointer(pointer);
    for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
      const area = perCpuAddress(kernel, first, cpu);
      const counted = count.read(area).number(`${within}count`);
      // What has the lists of a running kernel changes between two of them.
      const most = kernel.facts.live ? MOST_LISTED : counted;
      let found = 0;
      for (let index = 0; index < (lists.count ?? 0); index++) {
        const order = orderOfList(kernel, index, types);
        const head = area + BigInt(lists.offset + index * 16);
        // A list that was never set up: of a CPU that is not there.
        if (readPartOf(kernel, 'the list', head, head, 8).getBigUint64(0, true) === 0n) continue;
        const room = (most - found) / 2 ** order;
        const frames = again(
          kernel,
          () => {
            const all: number[] = [];
            for (const link of changingListNodes(kernel, head)) {
              const frame = kernel.pages.frameOfPage(at.set(link - node));
              if (frame < 0) throw new KernelError('damaged', `CPU ${cpu} lists what is no page`);
              all.push(frame);
              if (all.length > room) break;
            }
            return all;
          },
          TRIES,
        );
        found += frames.length * 2 ** order;
        for (const frame of frames) yield { frame, order };
      }
      if (found !== counted && !kernel.facts.live) {
        const message = `CPU ${cpu} counts ${counted} free pages in its lists, and ${found > counted ? 'more' : found} are there`;
        throw new KernelError('damaged', message);
      }
    }
  }
}

/** No CPU keeps more base pages than this for itself: 64 GiB. */
const MOST_LISTED = 2 ** 24;

/** As order_to_pindex has it; behind the orders are those of huge pages (5.13). */
function orderOfList(kernel: Kernel, index: number, types: number): number {
  const order = Math.floor(index / types);
  return order <= COSTLY_ORDER ? order : Math.log2(kernel.facts.pageSize) - 3;
}
