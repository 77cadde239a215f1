import type { Architecture, LinearRange } from '../arch/arch.js';
import { readAround } from '../image-scan.js';
import type { KernelMemory } from '../memory.js';
import type { SymbolTable } from '../symbols.js';
import type { KernelTypes } from '../types.js';
import type { Vmcoreinfo } from '../vmcoreinfo.js';
import { ImageBytes, type Memory, only } from './reads.js';

export interface RecoverySource {
  readonly memory: KernelMemory;
  /**
   * The same memory: for reads that only search, so that an extract contains the matches and not
   * everything that was searched.
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

/** Exported functions whose addresses must match the symbol table. */
const CONFIRMED = ['kfree', 'schedule', 'vfree', 'sock_from_file', 'skb_put', 'unregister_netdev'];
const MIN_CONFIRMED = 3;

/** Known facts about a kernel whose variables are searched, and the confirmation of candidates. */
export class Evidence {
  readonly source: RecoverySource;
  #image: ImageBytes | undefined;
  #exports: ReadonlyMap<string, bigint> | undefined;

  constructor(source: RecoverySource) {
    this.source = source;
  }

  /** The kernel image, for searching. */
  get bytes(): ImageBytes {
    this.#image ??= ImageBytes.read(this.source.search, this.source.arch);
    return this.#image;
  }

  /** Exported symbols, provided that functions and VMCOREINFO's symbols are at their known addresses. */
  get exported(): ReadonlyMap<string, bigint> {
    if (this.#exports !== undefined) return this.#exports;
    const { symbols, info } = this.source;
    const exported = findExports(this.bytes, this.source.memory);
    let confirmed = 0;
    let contradicted = 0;
    const compare = (name: string, known: bigint | undefined): void => {
      const address = exported.get(name);
      if (address === undefined || known === undefined) return;
      if (address === known) confirmed++;
      else contradicted++;
    };
    for (const name of CONFIRMED) {
      const table = symbols.find(name);
      if (table.length === 1) compare(name, table[0]!.address);
    }
    compare('init_uts_ns', info.symbol('init_uts_ns'));
    const believed = confirmed >= MIN_CONFIRMED && contradicted === 0;
    this.#exports = believed ? exported : new Map();
    return this.#exports;
  }

  /**
   * Returns the one candidate that passes a test, which runs on the memory that is searched and, if it
   * passes, on the recorded memory.
   */
  only(candidates: Iterable<bigint>, test: (memory: Memory, candidate: bigint) => boolean): bigint | undefined {
    const { memory, search } = this.source;
    const matching = [...candidates].filter((candidate) => test(search, candidate));
    this.keepAmbiguous(matching);
    return only(matching.filter((candidate) => test(memory, candidate)));
  }

  /** An ambiguity must persist in an extract: two places suffice. */
  keepAmbiguous(places: readonly bigint[]): void {
    for (const place of places.slice(0, 2)) readAround(this.source.memory, place);
  }
}

/** Exported by every kernel: one in each of the two tables. */
const ANCHORS = ['init_task', 'net_namespace_list'] as const;
/** Bytes of a `struct kernel_symbol`: with the namespace (5.4), and without. */
const STRIDES = [12, 8] as const;
/** A kernel exports thousands of symbols; a smaller table is a false match. */
const MIN = 100;
const MAX = 200_000;
const LONGEST_NAME = 256;
/** Maximum number of places to check for an anchor's name. */
const MAX_NAMES = 16;

/** Bytes to read at a time: the smallest page. */
const PAGE = 4096;

const NAME = /^[A-Za-z_][\w.]*$/;

/**
 * Symbols that the kernel exports to modules: name → address, variables as well as functions. Its
 * tables (`__ksymtab`, `__ksymtab_gpl`: `struct kernel_symbol` in kernel/module/internal.h) contain the
 * address and the name as 32-bit offsets from their own positions (CONFIG_HAVE_ARCH_PREL32_RELOCATIONS,
 * on x86_64 since 4.19, on arm64 as well). They are found by the names of symbols that always exist.
 *
 * @param memory the same bytes: matches are read again from there
 */
function findExports(image: ImageBytes, memory: Memory): ReadonlyMap<string, bigint> {
  const exports = new Map<string, bigint>();
  for (const anchor of ANCHORS) {
    if (exports.has(anchor)) continue;
    for (const entry of entriesNamed(image, anchor)) {
      const table = STRIDES.map((stride) => tableAround(image, entry, stride)).sort((a, b) => b.size - a.size)[0]!;
      if (table.size < MIN) continue;
      const pages = new Set<number>();
      for (const [name, { address, at, nameAt: from }] of table) {
        exports.set(name, address);
        for (const place of [at, at + 4, from, from + name.length]) pages.add(Math.floor(place / PAGE));
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

/** Offsets of candidates for the entry of a name. */
function* entriesNamed(image: ImageBytes, name: string): Generator<number> {
  const needle = Buffer.from(`\0${name}\0`, 'latin1');
  const { bytes, words } = image;
  const strings = new Set<number>();
  for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + 1)) {
    strings.add(at + 1);
    if (strings.size >= MAX_NAMES) break;
  }
  if (strings.size === 0) return;
  for (let index = 1; index < words.length; index++) {
    if (strings.has(index * 4 + words[index]!)) yield index * 4 - 4;
  }
}

/** The entries before and after one, as long as each has a name. */
function tableAround(image: ImageBytes, entry: number, stride: number): Map<string, Entry> {
  const table = new Map<string, Entry>();
  for (const step of [stride, -stride]) {
    for (let at = step > 0 ? entry : entry - stride; table.size < MAX; at += step) {
      const entry = entryAt(image, at);
      if (entry === undefined) break;
      table.set(entry.name, entry);
    }
  }
  return table;
}

function entryAt(image: ImageBytes, at: number): (Entry & { readonly name: string }) | undefined {
  const { bytes, view } = image;
  if (at < 0 || at + 8 > bytes.length) return undefined;
  const value = at + view.getInt32(at, true);
  const nameAt = at + 4 + view.getInt32(at + 4, true);
  // Addresses can be outside the image: those of per-CPU variables on x86_64 before 6.15. A name can be
  // the tail of a longer one: the linker merges them.
  if (nameAt < 0 || nameAt >= bytes.length) return undefined;
  const end = bytes.indexOf(0, nameAt);
  if (end < 0 || end === nameAt || end - nameAt > LONGEST_NAME) return undefined;
  const name = bytes.toString('latin1', nameAt, end);
  return NAME.test(name) ? { name, address: BigInt.asUintN(64, image.address(value)), at, nameAt } : undefined;
}
