import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, perCpuAddress } from '../machine/cpus.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** Per-CPU variables that hold batches, and the types of those that do not have their own name's. */
const VARIABLES = ['cpu_fbatches', 'lru_pvecs', 'lru_rotate', 'mlock_fbatch'] as const;

/** A batch by its name before 6.0, and since. */
const BATCHES = { pagevec: 'pages', folio_batch: 'folios' } as const;

/**
 * Addresses of the `struct page`s that CPUs have in batches, each with a reference, and have yet to put on a list
 * of those that were used last (mm/swap.c). A process may have exited meanwhile.
 *
 * @returns undefined: the kernel does not name them
 * @throws {ReadError}; {@link KernelError} `unsupported-layout`
 */
export function batchedPages(kernel: Kernel): ReadonlySet<bigint> | undefined {
  const pages = new Set<bigint>();
  let known = false;
  for (const variable of VARIABLES) {
    const at = kernel.symbol(variable);
    const layout = kernel.struct(variable);
    if (at === undefined || !layout) continue;
    for (const name of layout.members) {
      const member = layout.member(name);
      if (!member || !(member.type in BATCHES) || member.pointer) continue;
      known = true;
      const entries = BATCHES[member.type as keyof typeof BATCHES];
      const batch = new StructReader(kernel, member.type, ['nr', entries]);
      const place = batch.members[entries];
      for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
        const base = perCpuAddress(kernel, at, cpu) + BigInt(member.offset);
        const count = Math.min(batch.read(base).number('nr'), place.count ?? 0);
        const words = readPartOf(
          kernel,
          'a batch of pages',
          base,
          base + BigInt(place.offset),
          8 * count,
        );
        for (let index = 0; index < count; index++) pages.add(words.getBigUint64(8 * index, true));
      }
    }
  }
  return known ? pages : undefined;
}
