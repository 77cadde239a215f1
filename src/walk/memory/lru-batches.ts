import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, perCpuAddress } from '../machine/cpus.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** Per-CPU variables that hold batches, of types that have their names. */
const VARIABLES = ['cpu_fbatches', 'lru_pvecs', 'lru_rotate', 'mlock_fbatch'] as const;

/** Per-CPU variables that are a batch each: before 5.8. */
const PAGEVECS = [
  ...['lru_add_pvec', 'lru_rotate_pvecs', 'lru_deactivate_file_pvecs', 'lru_deactivate_pvecs'],
  ...['lru_lazyfree_pvecs', 'activate_page_pvecs'],
] as const;

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
  /** Bytes from its start. */
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
