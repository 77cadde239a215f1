import { damaged, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../cpus.js';
import { changingListNodes } from '../list.js';
import { readUntilConsistent } from '../live-reads.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** An area of the vmalloc address space. Addresses are kernel virtual. */
export interface VmArea {
  /** Address of its `struct vmap_area`, and of its `struct vm_struct`. */
  readonly record: bigint;
  readonly vm: bigint;
  readonly address: bigint;
  /** Size in bytes, including the guard page at the end. */
  readonly bytes: number;
  /** Call site: a code address. */
  readonly caller: bigint;
  /** Address of its array of pointers to `struct page`; 0n if it has none. */
  readonly pages: bigint;
  /** Number of base pages in that array. */
  readonly count: number;
  /** Whether the area owns its pages and frees them, instead of only mapping them. */
  readonly owns: boolean;
}

/** VM_ALLOC and VM_MAP_PUT_PAGES (include/linux/vmalloc.h). */
const OWNS = 0x2 | 0x200;

/**
 * VM_VM_AREA of `vmap_area.flags` (mm/vmalloc.c, before 5.4): `vm` was set. Otherwise it is uninitialized.
 * The flags of 6.4 are different.
 */
const HAS_VM = 0x4;

/** Maximum number of areas: kernels have some thousands, or a hundred thousand with many BPF programs. */
const MAX_AREAS = 2 ** 22;

/** Maximum number of nodes: vmap_init creates one per CPU, at most 128. */
const MAX_NODES = 1024;

/**
 * Areas of the vmalloc address space in use: vmalloc, vmap, ioremap, stacks, modules. Areas queued for
 * unmapping hold no pages, and are not included.
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link TornList}; {@link ReadError}:
 * after all readable areas, if the error is in one of several lists
 */
export function* vmAreas(kernel: Kernel): Generator<VmArea> {
  let lost: unknown;
  for (const list of areaLists(kernel)) {
    try {
      yield* areasOf(kernel, list);
    } catch (error) {
      lost ??= error;
    }
  }
  if (lost !== undefined) throw lost;
}

/** Maximum number of attempts for this long list: fewer than for short ones. */
const LIST_TRIES = 20;

/**
 * The same for a live kernel, whose list changes with each thread that starts or exits: read until it is
 * consistent.
 */
export function* settledAreas(kernel: Kernel): Generator<VmArea> {
  let areas: readonly VmArea[];
  try {
    areas = readUntilConsistent(kernel, () => [...vmAreas(kernel)], LIST_TRIES);
  } catch {
    // All readable areas, then the reason for missing ones.
    yield* vmAreas(kernel);
    return;
  }
  yield* areas;
}

function* areasOf(kernel: Kernel, { head, holds }: AreaList): Generator<VmArea> {
  const area = new StructReader(kernel, 'vmap_area', ['va_start', 'va_end', 'list', 'vm']);
  const reader = new StructReader(kernel, 'vm_struct', [
    'addr',
    'size',
    'flags',
    'pages',
    'nr_pages',
    'caller',
  ] as const);
  // `vm` shares its place with the mark of a free area, or with nothing since the flag was removed.
  const purged = kernel.struct('vmap_area')?.member('purge_list');
  const flagged = purged !== undefined && purged.offset !== area.offset('vm');
  const flags = flagged ? new StructReader(kernel, 'vmap_area', ['flags']) : undefined;
  let found = 0;
  for (const link of changingListNodes(kernel, head)) {
    if (++found > MAX_AREAS) throw damaged('vmap area list does not terminate (loop?)');
    const view = area.readContainer(link, 'list');
    const start = view.pointer('va_start');
    if (!holds(start)) throw damaged(`the vmap area at ${hex(start)} is in the list of another vmap_node`);
    if (flags && (flags.read(view.address).number('flags') & HAS_VM) === 0) continue;
    const vm = view.pointer('vm');
    // vm_map_ram maps pages of other owners.
    if (vm === 0n || vm < 2n ** 63n) continue;
    const known = reader.read(vm);
    const address = known.pointer('addr');
    const bytes = Number(view.pointer('va_end') - start);
    const count = known.number('nr_pages');
    // setup_vmalloc_vm() in mm/vmalloc.c.
    if (address !== start || known.number('size') !== bytes || count * kernel.facts.pageSize > bytes) {
      const message = `the vmap area at ${hex(start)} has ${bytes} bytes; its vm_struct says ${known.number('size')}, and ${count} pages at ${hex(address)}`;
      throw damaged(message);
    }
    const pages = known.pointer('pages');
    const owns = (known.number('flags') & OWNS) !== 0 && pages !== 0n;
    const record = view.address;
    yield { record, vm, address, bytes, caller: known.pointer('caller'), pages, count, owns };
  }
}

interface AreaList {
  readonly head: bigint;
  /** Whether the area at an address belongs in this list. */
  readonly holds: (start: bigint) => boolean;
}

/** Lists of areas: one up to 6.8, since then one for each of `vmap_nodes`. */
function areaLists(kernel: Kernel): AreaList[] {
  const single = kernel.symbol('vmap_area_list');
  if (single !== undefined) return [{ head: single, holds: () => true }];
  const node = new StructReader(kernel, 'vmap_node', ['busy.head']);
  const at = needSymbol(kernel, 'vmap_nodes');
  const many = needSymbol(kernel, 'nr_vmap_nodes');
  const count = readPartOf(kernel, 'nr_vmap_nodes', many, many, 4).getUint32(0, true);
  if (count < 1 || count > MAX_NODES) throw damaged(`${count} nodes of vmalloc`);
  const first = pointerPartOf(kernel, 'vmap_nodes', at, at);
  const size = needSymbol(kernel, 'vmap_zone_size');
  // Older extracts lack it.
  const zone = readOrNot(() => readPartOf(kernel, 'vmap_zone_size', size, size, 4).getUint32(0, true));
  if (zone === 0) throw damaged('vmap_zone_size is 0');
  if (isNode(kernel, node.element(first, count))) throw damaged(`more than ${count} vmap_nodes`);
  // addr_to_node_id() in mm/vmalloc.c.
  return Array.from({ length: count }, (_, index) => ({
    head: node.addressOf(node.element(first, index), 'busy.head'),
    holds: (start: bigint) => zone === undefined || (start / BigInt(zone)) % BigInt(count) === BigInt(index),
  }));
}

/** Whether both lists of a `vmap_node` begin and end at their heads. */
function isNode(kernel: Kernel, address: bigint): boolean {
  const node = StructReader.ifPresent(kernel, 'vmap_node', ['busy.head', 'lazy.head']);
  const ends = node && [node.addressOf(address, 'busy.head'), node.addressOf(address, 'lazy.head')];
  const isHead = (head: bigint) =>
    readOrNot(() => {
      const next = pointerPartOf(kernel, 'a list', head, head);
      const last = pointerPartOf(kernel, 'a list', head, head + 8n);
      return (
        pointerPartOf(kernel, 'a list', next, next + 8n) === head &&
        pointerPartOf(kernel, 'a list', last, last) === head
      );
    });
  return ends?.every(isHead) ?? false;
}

/**
 * Caches the results of a walk for several consumers. The walk continues where it stopped, and fails for each
 * consumer with the same error.
 */
export function cachedWalk<Item>(walk: () => Iterable<Item>): () => Generator<Item> {
  const items: Item[] = [];
  let rest: Iterator<Item> | undefined;
  let failure: unknown;
  let ended = false;
  return function* () {
    rest ??= walk()[Symbol.iterator]();
    for (let index = 0; ; index++) {
      while (index >= items.length && !ended) {
        try {
          const next = rest.next();
          if (next.done) ended = true;
          else items.push(next.value);
        } catch (error) {
          failure = error;
          ended = true;
        }
      }
      if (index >= items.length) break;
      yield items[index]!;
    }
    if (failure !== undefined) throw failure;
  };
}
