import { damaged } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { cpuMask, perCpuAddress } from '../cpus.js';
import { changingListNodes } from '../list.js';
import { readUntilConsistent } from '../live-reads.js';
import { readPartOf } from '../named-read.js';
import { memberOf, struct } from '../pages/struct-page.js';
import { StructReader } from '../struct-reader.js';
import { zones } from './zones.js';

/** A free block on a per-CPU free list, outside the buddy allocator. */
export interface ListedBlock {
  readonly frame: number;
  /** log2 of its base pages. */
  readonly order: number;
}

/** Retries after changes of a list. */
const TRIES = 3;

/** PAGE_ALLOC_COSTLY_ORDER: each order up to it has its own lists (5.13). */
const COSTLY_ORDER = 3;

/**
 * Free pages on per-CPU free lists (`per_cpu_pages`), which have no counter and no page flag.
 *
 * @throws {KernelError} `damaged` if the number of pages on the lists differs from their count, `no-symbols`,
 * `unsupported-layout`; {@link TornList}; {@link ReadError}
 */
export function* cpuLists(kernel: Kernel): Generator<ListedBlock> {
  // Separate from the CPU's counters since 5.14.
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
      // The list of a running kernel changes between two reads.
      const most = kernel.facts.live ? MOST_LISTED : counted;
      let found = 0;
      for (let index = 0; index < (lists.count ?? 0); index++) {
        const order = orderOfList(kernel, index, types);
        const head = area + BigInt(lists.offset + index * 16);
        // A list that was never set up: its CPU does not exist.
        if (readPartOf(kernel, 'the list', head, head, 8).getBigUint64(0, true) === 0n) continue;
        const room = (most - found) / 2 ** order;
        const frames = readUntilConsistent(
          kernel,
          () => {
            const all: number[] = [];
            for (const link of changingListNodes(kernel, head)) {
              const frame = kernel.pages.frameOfPage(at.set(link - node));
              if (frame < 0) throw damaged(`CPU ${cpu} lists what is no page`);
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
        throw damaged(message);
      }
    }
  }
}

/** Maximum number of base pages on the lists of one CPU: 64 GiB. */
const MOST_LISTED = 2 ** 24;

/** Inverse of order_to_pindex. The lists after those of the orders are for huge pages (5.13). */
function orderOfList(kernel: Kernel, index: number, types: number): number {
  const order = Math.floor(index / types);
  return order <= COSTLY_ORDER ? order : Math.log2(kernel.facts.pageSize) - 3;
}

/** Per-CPU variables that contain batches. The type of each has the same name. */
const VARIABLES = ['cpu_fbatches', 'lru_pvecs', 'lru_rotate', 'mlock_fbatch'] as const;

/** Per-CPU variables that are one batch each (before 5.8). */
const PAGEVECS = [
  ...['lru_add_pvec', 'lru_rotate_pvecs', 'lru_deactivate_file_pvecs', 'lru_deactivate_pvecs'],
  ...['lru_lazyfree_pvecs', 'activate_page_pvecs'],
] as const;

/** Member with the pages of a batch, by the batch's type: `pagevec` before 6.0, `folio_batch` since then. */
const BATCHES = { pagevec: 'pages', folio_batch: 'folios' } as const;

/**
 * Addresses of the `struct page`s in per-CPU batches, which are not on an LRU list yet (mm/swap.c). A batch
 * holds a reference to each page. The process may have exited since.
 *
 * @returns undefined if no batch variables are found in the kernel
 * @throws {ReadError}; {@link KernelError} `unsupported-layout`
 */
export function batchedPages(kernel: Kernel): ReadonlySet<bigint> | undefined {
  const pages = new Set<bigint>();
  const batches = [...batchPlaces(kernel)];
  for (const { variable, offset, type } of batches) {
    const entries = BATCHES[type];
    const batch = new StructReader(kernel, type, ['nr', entries]);
    const place = batch.members[entries];
    for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
      const base = perCpuAddress(kernel, variable, cpu) + BigInt(offset);
      const count = Math.min(batch.read(base).number('nr'), place.count ?? 0);
      const at = base + BigInt(place.offset);
      const words = readPartOf(kernel, 'a batch of pages', base, at, 8 * count);
      for (let index = 0; index < count; index++) pages.add(words.getBigUint64(8 * index, true));
    }
  }
  return batches.length > 0 ? pages : undefined;
}

interface BatchPlace {
  /** Address of a per-CPU variable. */
  readonly variable: bigint;
  /** Offset in that variable, in bytes. */
  readonly offset: number;
  readonly type: keyof typeof BATCHES;
}

function* batchPlaces(kernel: Kernel): Generator<BatchPlace> {
  for (const name of PAGEVECS) {
    const variable = kernel.symbol(name);
    if (variable !== undefined) yield { variable, offset: 0, type: 'pagevec' };
  }
  for (const name of VARIABLES) {
    const variable = kernel.symbol(name);
    const layout = kernel.struct(name);
    if (variable === undefined || !layout) continue;
    for (const path of layout.members) {
      const member = layout.member(path);
      if (!member || !(member.type in BATCHES) || member.pointer) continue;
      yield { variable, offset: member.offset, type: member.type as keyof typeof BATCHES };
    }
  }
}
