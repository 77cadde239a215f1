import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { again } from '../again.js';
import { changingListNodes } from '../list.js';
import { needSymbol } from '../machine/cpus.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** An area of vmalloc's address space. Addresses are kernel virtual. */
export interface VmArea {
  /** Of its `struct vm_struct`. */
  readonly vm: bigint;
  readonly address: bigint;
  /** Bytes, the guard page behind it among them. */
  readonly bytes: number;
  /** Who asked for it: an address in the code. */
  readonly caller: bigint;
  /** Address of its array of pointers to `struct page`; 0n: it has none. */
  readonly pages: bigint;
  /** Base pages in that array. */
  readonly count: number;
  /** The pages are its own, and go when it goes: not those of somebody else that it maps. */
  readonly owns: boolean;
}

/** VM_ALLOC and VM_MAP_PUT_PAGES (include/linux/vmalloc.h). */
const OWNS = 0x2 | 0x200;

/**
 * VM_VM_AREA of `vmap_area.flags` (mm/vmalloc.c, before 5.4): `vm` was set. It is what kmalloc left there otherwise.
 * The flags of 6.4 are others.
 */
const HAS_VM = 0x4;

/** A kernel has some thousands; one with many BPF programs a hundred thousand. */
const MOST_AREAS = 2 ** 22;

/** vmap_init takes as many nodes as CPUs, 128 at most. */
const MOST_NODES = 1024;

/**
 * The areas of vmalloc's address space that are in use: vmalloc, vmap, ioremap, stacks, modules. Those
 * that wait to be unmapped hold no pages, and are not among them.
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link TornList};
 *   {@link ReadError}: after all that can be read, if it is in one of several lists
 */
export function* vmAreas(kernel: Kernel): Generator<VmArea> {
  let lost: unknown;
  for (const head of listHeads(kernel)) {
    try {
      yield* areasOf(kernel, head);
    } catch (error) {
      lost ??= error;
    }
  }
  if (lost !== undefined) throw lost;
}

/** A long list is read again less often than a short one. */
const LIST_TRIES = 20;

/** The same of a running kernel, whose list changes with each thread that begins or ends: read until it agrees with itself. */
export function* settledAreas(kernel: Kernel): Generator<VmArea> {
  let areas: readonly VmArea[];
  try {
    areas = again(kernel, () => [...vmAreas(kernel)], LIST_TRIES);
  } catch {
    // What can be read of it, and then why not all.
    yield* vmAreas(kernel);
    return;
  }
  yield* areas;
}

function* areasOf(kernel: Kernel, head: bigint): Generator<VmArea> {
  const area = new StructReader(kernel, 'vmap_area', ['va_start', 'va_end', 'list', 'vm']);
  const reader = new StructReader(kernel, 'vm_struct', [
    ...['addr', 'size', 'flags', 'pages', 'nr_pages', 'caller'],
  ] as const);
  const node = BigInt(area.offset('list'));
  // `vm` shares its place with what says that an area is free, or with nothing, since the flag is gone.
  const purged = kernel.struct('vmap_area')?.member('purge_list');
  const flagged = purged !== undefined && purged.offset !== area.offset('vm');
  const flags = flagged ? new StructReader(kernel, 'vmap_area', ['flags']) : undefined;
  let found = 0;
  for (const link of changingListNodes(kernel, head)) {
    if (++found > MOST_AREAS)
      throw new KernelError('damaged', 'vmap area list does not terminate (loop?)');
    const view = area.read(link - node);
    if (flags && (flags.read(view.address).number('flags') & HAS_VM) === 0) continue;
    const vm = view.pointer('vm');
    // Of vm_map_ram, which maps pages of others.
    if (vm === 0n || vm < 2n ** 63n) continue;
    const one = reader.read(vm);
    const [address, start] = [one.pointer('addr'), view.pointer('va_start')];
    const bytes = Number(view.pointer('va_end') - start);
    const count = one.number('nr_pages');
    if (address !== start || count * kernel.facts.pageSize > bytes) {
      const message = `the vmap area at ${hex(start)} has ${bytes} bytes; its vm_struct says ${count} pages at ${hex(address)}`;
      throw new KernelError('damaged', message);
    }
    const pages = one.pointer('pages');
    const owns = (one.number('flags') & OWNS) !== 0 && pages !== 0n;
    yield { vm, address, bytes, caller: one.pointer('caller'), pages, count, owns };
  }
}

/** One list up to 6.8, since then one for each of `vmap_nodes`. */
function listHeads(kernel: Kernel): bigint[] {
  const single = kernel.symbol('vmap_area_list');
  if (single !== undefined) return [single];
  const node = new StructReader(kernel, 'vmap_node', ['busy.head']);
  const at = needSymbol(kernel, 'vmap_nodes');
  const many = needSymbol(kernel, 'nr_vmap_nodes');
  const count = readPartOf(kernel, 'nr_vmap_nodes', many, many, 4).getUint32(0, true);
  if (count < 1 || count > MOST_NODES)
    throw new KernelError('damaged', `${count} nodes of vmalloc`);
  const first = pointerPartOf(kernel, 'vmap_nodes', at, at);
  return Array.from(
    { length: count },
    (_, index) => first + BigInt(index * node.size + node.offset('busy.head')),
  );
}
