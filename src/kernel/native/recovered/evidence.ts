import type { LinearRange } from '../address.js';
import type { Architecture } from '../arch/arch.js';
import { readAround } from '../image-scan.js';
import type { KernelMemory } from '../memory.js';
import type { SymbolTable } from '../symbols.js';
import type { KernelTypes } from '../types.js';
import type { Vmcoreinfo } from '../vmcoreinfo.js';
import { ImageBytes } from './image-bytes.js';
import { type Memory, only } from './reads.js';

/** What symbols are recovered from. */
export interface RecoverySource {
  readonly memory: KernelMemory;
  /**
   * The same memory: reads that only look for something go there, so that an extract holds what was
   * found and not all that was looked at.
   */
  readonly search: KernelMemory;
  readonly arch: Architecture;
  readonly info: Vmcoreinfo;
  /** Functions only. */
  readonly symbols: SymbolTable;
  readonly directMap: LinearRange | undefined;
  /** The kernel's own types, without its modules'. */
  readonly types: Pick<KernelTypes, 'struct' | 'perCpuVariables'>;
}

/** Exported functions whose addresses the table of functions must confirm. */
const CONFIRMED = ['kfree', 'schedule', 'vfree', 'sock_from_file', 'skb_put', 'unregister_netdev'];
const LEAST_CONFIRMED = 3;

/** What is known of a kernel whose variables are sought, and how a candidate is confirmed. */
export class Evidence {
  readonly source: RecoverySource;
  #image: ImageBytes | undefined;
  #exports: ReadonlyMap<string, bigint> | undefined;

  constructor(source: RecoverySource) {
    this.source = source;
  }

  /** The kernel's image, to be searched. */
  get bytes(): ImageBytes {
    this.#image ??= ImageBytes.read(this.source.search, this.source.arch);
    return this.#image;
  }

  /** Exported symbols, if functions and what VMCOREINFO names lie where they are known to. */
  get exported(): ReadonlyMap<string, bigint> {
    if (this.#exports !== undefined) return this.#exports;
    const { symbols, info } = this.source;
    const found = findExports(this.bytes, this.source.memory);
    let confirmed = 0;
    let contradicted = 0;
    const compare = (name: string, known: bigint | undefined): void => {
      const address = found.get(name);
      if (address === undefined || known === undefined) return;
      if (address === known) confirmed++;
      else contradicted++;
    };
    for (const name of CONFIRMED) {
      const table = symbols.find(name);
      if (table.length === 1) compare(name, table[0]!.address);
    }
    compare('init_uts_ns', info.symbol('init_uts_ns'));
    const believed = confirmed >= LEAST_CONFIRMED && contradicted === 0;
    this.#exports = believed ? found : new Map();
    return this.#exports;
  }

  /**
   * The one candidate that passes a test, which is asked of the memory that is searched and, if it
   * passes, of what is read.
   */
  only(
    candidates: Iterable<bigint>,
    test: (memory: Memory, candidate: bigint) => boolean,
  ): bigint | undefined {
    const { memory, search } = this.source;
    const passed = [...candidates].filter((candidate) => test(search, candidate));
    this.keepAmbiguous(passed);
    return only(passed.filter((candidate) => test(memory, candidate)));
  }

  /** What is ambiguous must be so in an extract, too: two are enough. */
  keepAmbiguous(places: readonly bigint[]): void {
    for (const place of places.slice(0, 2)) readAround(this.source.memory, place);
  }
}

/** Exported by every kernel: one in each of the two tables. */
const ANCHORS = ['init_task', 'net_namespace_list'] as const;
/** Bytes of a `struct kernel_symbol`: with the namespace (5.4), and without. */
const STRIDES = [12, 8] as const;
/** A kernel exports thousands of symbols; a table of fewer is none. */
const LEAST = 100;
const MOST = 200_000;
const LONGEST_NAME = 256;
/** Places that an anchor's name is looked for at. */
const MOST_NAMES = 16;

/** Bytes that are read at a time: the smallest page. */
const PAGE = 4096;

const NAME = /^[A-Za-z_][\w.]*$/;

/**
 * What the kernel exports to modules: name → address, variables as well as functions. Its tables
 * (`__ksymtab`, `__ksymtab_gpl`: `struct kernel_symbol` in kernel/module/internal.h) hold, as 32-bit
 * offsets from their own places, the address and the name (CONFIG_HAVE_ARCH_PREL32_RELOCATIONS, on
 * x86_64 since 4.19, on arm64 as well). They are found by the names of symbols that are always there.
 *
 * @param memory the same bytes: what was found is read from there again
 */
function findExports(image: ImageBytes, memory: Memory): ReadonlyMap<string, bigint> {
  const exports = new Map<string, bigint>();
  for (const anchor of ANCHORS) {
    if (exports.has(anchor)) continue;
    for (const entry of entriesNamed(image, anchor)) {
      const table = STRIDES.map((stride) => tableAround(image, entry, stride)).sort(
        (a, b) => b.size - a.size,
      )[0]!;
      if (table.size < LEAST) continue;
      const pages = new Set<number>();
      for (const [name, { address, at, nameAt: from }] of table) {
        exports.set(name, address);
        for (const place of [at, at + 4, from, from + name.length])
          pages.add(Math.floor(place / PAGE));
      }
      for (const page of pages) readAround(memory, image.address(page * PAGE));
      break;
    }
  }
  return exports;
}

interface Entry {
  readonly address: bigint;
  /** Offsets of the entry and of its name in the image. */
  readonly at: number;
  readonly nameAt: number;
}

/** Offsets of what may be the entry of a name. */
function* entriesNamed(image: ImageBytes, name: string): Generator<number> {
  const needle = Buffer.from(`\0${name}\0`, 'latin1');
  const { bytes, words } = image;
  const strings = new Set<number>();
  for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + 1)) {
    strings.add(at + 1);
    if (strings.size >= MOST_NAMES) break;
  }
  if (strings.size === 0) return;
  for (let index = 1; index < words.length; index++) {
    if (strings.has(index * 4 + words[index]!)) yield index * 4 - 4;
  }
}

/** The entries before and behind one, as long as each has a name. */
function tableAround(image: ImageBytes, entry: number, stride: number): Map<string, Entry> {
  const table = new Map<string, Entry>();
  for (const step of [stride, -stride]) {
    for (let at = step > 0 ? entry : entry - stride; table.size < MOST; at += step) {
      const found = entryAt(image, at);
      if (found === undefined) break;
      table.set(found.name, found);
    }
  }
  return table;
}

function entryAt(image: ImageBytes, at: number): (Entry & { readonly name: string }) | undefined {
  const { bytes, view } = image;
  if (at < 0 || at + 8 > bytes.length) return undefined;
  const value = at + view.getInt32(at, true);
  const nameAt = at + 4 + view.getInt32(at + 4, true);
  // Addresses can lie outside the image: those of per-CPU variables on x86_64 before 6.15.
  // A name can be the end of a longer one: the linker merges them.
  if (nameAt < 0 || nameAt >= bytes.length) return undefined;
  const end = bytes.indexOf(0, nameAt);
  if (end < 0 || end === nameAt || end - nameAt > LONGEST_NAME) return undefined;
  const name = bytes.toString('latin1', nameAt, end);
  return NAME.test(name)
    ? { name, address: BigInt.asUintN(64, image.address(value)), at, nameAt }
    : undefined;
}
