import { ReadError } from '../../error.js';
import type { LinearRange } from '../address.js';
import type { Architecture } from '../arch/arch.js';
import { readAround } from '../image-scan.js';
import type { KernelMemory } from '../memory.js';
import type { SymbolTable } from '../symbols.js';
import type { KernelTypes } from '../types.js';
import type { Vmcoreinfo } from '../vmcoreinfo.js';
import { findExports } from './exports.js';
import { ImageBytes } from './image-bytes.js';
import { headsOf, ring } from './lists.js';
import { findPerCpu } from './per-cpu.js';
import { type Memory, numberOrNot, only, orNot, textOrNot, word, wordOrNot } from './reads.js';
import { slabCachesNamed } from './slab-caches.js';

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

/** Functions of `socket_file_ops` (net/socket.c), by its members. */
const SOCKET_OPERATIONS = {
  read_iter: 'sock_read_iter',
  write_iter: 'sock_write_iter',
  poll: 'sock_poll',
  mmap: 'sock_mmap',
  release: 'sock_close',
  fasync: 'sock_fasync',
} as const;

/** Exported functions whose addresses the table of functions must confirm. */
const CONFIRMED = ['kfree', 'schedule', 'vfree', 'sock_from_file', 'skb_put', 'unregister_netdev'];
const LEAST_CONFIRMED = 3;

/** Pointers to slab caches, and the caches' own names. */
const CACHE_POINTERS: ReadonlyMap<string, string> = new Map([
  ['sock_inode_cachep', 'sock_inode_cache'],
  ['skbuff_head_cache', 'skbuff_head_cache'],
  ['skbuff_fclone_cache', 'skbuff_fclone_cache'],
  ['skb_small_head_cache', 'skbuff_small_head'],
]);

const MOST_PLACES = 64;
/** A page frame's number can be a common word. */
const MOST_WORDS = 65_536;

/**
 * Variables of a kernel whose table has functions only (CONFIG_KALLSYMS_ALL=n). Most are exported to
 * modules; a few others are found by what points to them or what they point to. Nothing is given that
 * was not confirmed by something else.
 */
export class RecoveredSymbols {
  readonly #source: RecoverySource;
  readonly #known = new Map<string, bigint | undefined>();
  #image: ImageBytes | undefined;
  #exports: ReadonlyMap<string, bigint> | undefined;
  #perCpu: ReadonlyMap<string, bigint> | undefined;
  #caches: ReadonlyMap<string, bigint> | undefined;

  constructor(source: RecoverySource) {
    this.#source = source;
  }

  find(name: string): bigint | undefined {
    if (!this.#known.has(name)) {
      // A rule that asks for its own name, by whatever way, gets nothing.
      this.#known.set(name, undefined);
      const address = this.#recover(name);
      if (address !== undefined) readAround(this.#source.memory, address);
      this.#known.set(name, address);
    }
    return this.#known.get(name);
  }

  #recover(name: string): bigint | undefined {
    try {
      const exported = this.#exported.get(name);
      if (exported !== undefined) return exported;
      const cache = CACHE_POINTERS.get(name);
      if (cache !== undefined) return this.#pointerToCache(cache);
      switch (name) {
        case 'socket_file_ops':
          return this.#socketOperations();
        case 'proto_list':
          return this.#protocols();
        case 'max_pfn':
          return this.#lastFrame();
        case 'modules':
          return this.#modules();
        case 'btf_modules':
          return this.#moduleTypes();
        default:
          return this.#templates.get(name);
      }
    } catch (error) {
      if (error instanceof ReadError) return undefined;
      throw error;
    }
  }

  get #bytes(): ImageBytes {
    this.#image ??= ImageBytes.read(this.#source.search, this.#source.arch);
    return this.#image;
  }

  /** Exported symbols, if functions and what VMCOREINFO names lie where they are known to. */
  get #exported(): ReadonlyMap<string, bigint> {
    if (this.#exports !== undefined) return this.#exports;
    const { symbols, info } = this.#source;
    const found = findExports(this.#bytes, this.#source.memory);
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

  /** Templates of per-CPU variables. */
  get #templates(): ReadonlyMap<string, bigint> {
    this.#perCpu ??= findPerCpu(this.#source.types.perCpuVariables(), this.#exported);
    return this.#perCpu;
  }

  /**
   * The one candidate that passes a test, which is asked of the memory that is searched and, if it
   * passes, of what is read.
   */
  #only(
    candidates: Iterable<bigint>,
    test: (memory: Memory, candidate: bigint) => boolean,
  ): bigint | undefined {
    const { memory, search } = this.#source;
    const passed = [...candidates].filter((candidate) => test(search, candidate));
    this.#keepAmbiguous(passed);
    return only(passed.filter((candidate) => test(memory, candidate)));
  }

  /** What is ambiguous must be so in an extract, too: two are enough. */
  #keepAmbiguous(places: readonly bigint[]): void {
    for (const place of places.slice(0, 2)) readAround(this.#source.memory, place);
  }

  /** The one table of functions that holds all of the sockets'. */
  #socketOperations(): bigint | undefined {
    const layout = this.#source.types.struct('file_operations');
    if (layout === undefined) return undefined;
    const expected: { offset: number; address: bigint }[] = [];
    for (const [member, name] of Object.entries(SOCKET_OPERATIONS)) {
      const offset = layout.member(member)?.offset;
      const found = this.#source.symbols.find(name);
      if (offset !== undefined && found.length === 1)
        expected.push({ offset, address: found[0]!.address });
    }
    const first = expected[0];
    if (first === undefined || expected.length < 4) return undefined;
    const tables = this.#bytes
      .wordsEqual(first.address, MOST_PLACES)
      .map((at) => this.#bytes.address(at - first.offset));
    const table = this.#only(tables, (memory, at) =>
      expected.every(({ offset, address }) => wordOrNot(memory, at + BigInt(offset)) === address),
    );
    // The word that is searched for may lie in the next page.
    if (table !== undefined) readAround(this.#source.memory, table + BigInt(first.offset));
    return table;
  }

  /** The head of the ring that `tcp_prot.node` is in: the one node that is in no `struct proto`. */
  #protocols(): bigint | undefined {
    const tcp = this.#exported.get('tcp_prot');
    const layout = this.#source.types.struct('proto');
    const node = layout?.member('node');
    const name = layout?.member('name');
    const size = layout?.member('obj_size');
    if (tcp === undefined || !node || !name || !size) return undefined;
    const { memory } = this.#source;
    const start = tcp + BigInt(node.offset);
    const nodes = ring(memory, start);
    const heads = nodes?.filter((at) => {
      const proto = at - BigInt(node.offset);
      const text = textOrNot(memory, proto + BigInt(name.offset), name.size);
      const bytes = numberOrNot(memory, proto + BigInt(size.offset));
      return text === undefined || bytes === undefined || bytes === 0 || bytes > 65_536;
    });
    return heads && only(heads);
  }

  /**
   * The one variable that points to the slab cache of a name. Variables of caches that were merged
   * into it point to it as well, and so may what is left in memory that was freed: then it is the one
   * next to which lies another of these pointers (net/socket.c and net/core/skbuff.c set them once).
   */
  #pointerToCache(wanted: string): bigint | undefined {
    const { memory } = this.#source;
    const cache = this.#networkCaches.get(wanted);
    if (cache === undefined) return undefined;
    const places = this.#bytes.wordsEqual(cache, MOST_PLACES).map((at) => this.#bytes.address(at));
    this.#keepAmbiguous(places);
    const others = new Set(this.#networkCaches.values());
    others.delete(cache);
    const among = places.filter((at) =>
      [at - 8n, at + 8n].some((next) => others.has(wordOrNot(memory, next) ?? 0n)),
    );
    const pointer = only(places) ?? only(among);
    return pointer !== undefined && word(memory, pointer) === cache ? pointer : undefined;
  }

  /** Addresses of the caches that CACHE_POINTERS names, and of their neighbour's. */
  get #networkCaches(): ReadonlyMap<string, bigint> {
    if (this.#caches !== undefined) return this.#caches;
    this.#caches = new Map();
    const { memory, types } = this.#source;
    const kmalloc = this.#exported.get('kmalloc_caches');
    const layout = types.struct('kmem_cache');
    if (kmalloc === undefined || layout === undefined) return this.#caches;
    const names = [...CACHE_POINTERS.values(), 'skbuff_ext_cache'];
    const isObject = (address: bigint): boolean => this.#inDirectMap(address);
    this.#caches = slabCachesNamed(memory, layout, kmalloc, isObject, names);
    return this.#caches;
  }

  /**
   * `max_pfn`: holds the page frame behind the memory that `high_memory` ends, and has `min_low_pfn`
   * behind itself (mm/memblock.c): the first frame, before which nothing is mapped.
   */
  #lastFrame(): bigint | undefined {
    const { directMap, arch, memory } = this.#source;
    const variable = this.#exported.get('high_memory');
    if (variable === undefined || directMap === undefined) return undefined;
    const into = word(memory, variable) - directMap.address;
    const end = BigInt(directMap.physical) + into;
    if (into <= 0n || into > BigInt(directMap.length) || end % BigInt(arch.pageSize) !== 0n)
      return undefined;
    const frame = end / BigInt(arch.pageSize);
    const isFirst = (first: bigint): boolean => {
      const at = directMap.address + first * BigInt(arch.pageSize) - BigInt(directMap.physical);
      return orNot(() => !arch.protection(at - 1n) && arch.protection(at) !== undefined) === true;
    };
    const variables = this.#bytes
      .wordsEqual(frame, MOST_WORDS)
      .map((at) => this.#bytes.address(at));
    return this.#only(variables, (from, at) => {
      const next = wordOrNot(from, at + 8n);
      if (next === undefined || next === 0n || next >= frame || !isFirst(next)) return false;
      const writable = orNot(() => arch.protection(at)?.writable);
      return wordOrNot(from, at) === frame && writable === true;
    });
  }

  /** The head of the list whose nodes are all in a `struct module`. */
  #modules(): bigint | undefined {
    const { info } = this.#source;
    const layout = this.#source.types.struct('module');
    const list = layout?.member('list');
    const name = layout?.member('name');
    const state = layout?.member('state');
    // Where they are without KASLR, and all else that KASLR can move them to.
    const start = info.number('MODULES_VADDR');
    const end = info.number('VMALLOC_END');
    if (!list || !name || !state || start === undefined || end === undefined) return undefined;
    return this.#listHead({ start, end }, (memory, node) => {
      const module = node - BigInt(list.offset);
      const text = textOrNot(memory, module + BigInt(name.offset), name.size);
      const is = numberOrNot(memory, module + BigInt(state.offset));
      return text !== undefined && is !== undefined && is <= 3;
    });
  }

  /** The head of the list whose nodes are all in a `struct btf_module` of a loaded module. */
  #moduleTypes(): bigint | undefined {
    const { memory, directMap } = this.#source;
    const layout = this.#source.types.struct('btf_module');
    const list = layout?.member('list');
    const module = layout?.member('module');
    const modules = this.find('modules');
    const link = this.#source.types.struct('module')?.member('list');
    if (!list || !module || !link || modules === undefined || directMap === undefined)
      return undefined;
    const loaded = new Set(ring(memory, modules)?.map((node) => node - BigInt(link.offset)));
    const range = { start: directMap.address, end: directMap.address + BigInt(directMap.length) };
    return this.#listHead(range, (from, node) => {
      const of = wordOrNot(from, node - BigInt(list.offset) + BigInt(module.offset));
      return of !== undefined && loaded.has(of);
    });
  }

  /** The one head in the image of a list whose nodes lie in a range and all pass a test. */
  #listHead(
    range: { readonly start: bigint; readonly end: bigint },
    isNode: (memory: Memory, node: bigint) => boolean,
  ): bigint | undefined {
    const { search } = this.#source;
    const heads = headsOf(search, this.#bytes, range, (node) => isNode(search, node));
    return this.#only(
      heads,
      (memory, head) => ring(memory, head)?.every((node) => isNode(memory, node)) === true,
    );
  }

  #inDirectMap(address: bigint): boolean {
    const { directMap } = this.#source;
    if (directMap === undefined) return false;
    const into = address - directMap.address;
    return into >= 0n && into < BigInt(directMap.length);
  }
}
