import { ReadError } from '../../error.js';
import type { StructLayout } from '../../layout.js';
import type { LinearRange } from '../address.js';
import type { Architecture } from '../arch/arch.js';
import { readAround } from '../image-scan.js';
import type { KernelMemory } from '../memory.js';
import type { SymbolTable } from '../symbols.js';
import type { Vmcoreinfo } from '../vmcoreinfo.js';
import { findExports } from './exports.js';
import { ImageBytes } from './image-bytes.js';
import { headsOf, ring, word } from './lists.js';

/** What symbols are recovered from. */
export interface RecoverySource {
  readonly memory: KernelMemory;
  /** The same memory: reads that only look for something go there. */
  readonly search: KernelMemory;
  readonly arch: Architecture;
  readonly info: Vmcoreinfo;
  /** Functions only. */
  readonly symbols: SymbolTable;
  readonly directMap: LinearRange | undefined;
  /** The kernel's own types, without its modules'. */
  struct(name: string): StructLayout | undefined;
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

const PRINTABLE = /^[\x21-\x7e]+$/;
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
      switch (name) {
        case 'socket_file_ops':
          return this.#socketOperations();
        case 'proto_list':
          return this.#protocols();
        case 'sock_inode_cachep':
          return this.#pointerToCache('sock_inode_cache');
        case 'max_pfn':
          return this.#lastFrame();
        case 'modules':
          return this.#modules();
        case 'btf_modules':
          return this.#moduleTypes();
        default:
          return undefined;
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

  /** The one table of functions that holds all of the sockets'. */
  #socketOperations(): bigint | undefined {
    const layout = this.#source.struct('file_operations');
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
      .map((at) => this.#bytes.address(at - first.offset))
      .filter((table) =>
        expected.every(
          ({ offset, address }) => this.#wordOrNot(table + BigInt(offset)) === address,
        ),
      );
    return only(tables);
  }

  /** The head of the ring that `tcp_prot.node` is in: the one node that is in no `struct proto`. */
  #protocols(): bigint | undefined {
    const tcp = this.#exported.get('tcp_prot');
    const layout = this.#source.struct('proto');
    const node = layout?.member('node');
    const name = layout?.member('name');
    const size = layout?.member('obj_size');
    if (tcp === undefined || !node || !name || !size) return undefined;
    const { memory } = this.#source;
    const start = tcp + BigInt(node.offset);
    const nodes = ring(memory, start);
    const heads = nodes?.filter((at) => {
      const proto = at - BigInt(node.offset);
      const text = this.#text(proto + BigInt(name.offset), name.size);
      const bytes = this.#number(proto + BigInt(size.offset), 4);
      return text === undefined || bytes === undefined || bytes === 0 || bytes > 65_536;
    });
    return heads && only(heads);
  }

  /** The one variable that points to the slab cache of a name. */
  #pointerToCache(wanted: string): bigint | undefined {
    const caches = this.#exported.get('kmalloc_caches');
    const layout = this.#source.struct('kmem_cache');
    const list = layout?.member('list');
    const name = layout?.member('name');
    if (caches === undefined || !list || !name) return undefined;
    const { memory } = this.#source;
    for (let index = 0; index < MOST_PLACES; index++) {
      const cache = word(memory, caches + BigInt(index * 8));
      if (!this.#inDirectMap(cache)) continue;
      const nodes = ring(memory, cache + BigInt(list.offset)) ?? [];
      const found = nodes
        .map((node) => node - BigInt(list.offset))
        .filter((one) => {
          const at = this.#wordOrNot(one + BigInt(name.offset));
          return at !== undefined && this.#text(at, wanted.length + 1) === wanted;
        });
      const address = only(found);
      if (address === undefined) return undefined;
      const pointer = only(this.#bytes.wordsEqual(address, 2).map((at) => this.#bytes.address(at)));
      return pointer !== undefined && word(memory, pointer) === address ? pointer : undefined;
    }
    return undefined;
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
      return arch.protection(at) !== undefined && arch.protection(at - 1n) === undefined;
    };
    const variables = this.#bytes
      .wordsEqual(frame, MOST_WORDS)
      .map((at) => this.#bytes.address(at))
      .filter((at) => {
        const next = this.#wordOrNot(at + 8n);
        if (next === undefined || next === 0n || next >= frame || !isFirst(next)) return false;
        return this.#wordOrNot(at) === frame && arch.protection(at)?.writable === true;
      });
    return only(variables);
  }

  /** The head of the list whose nodes are all in a `struct module`. */
  #modules(): bigint | undefined {
    const { info, memory } = this.#source;
    const layout = this.#source.struct('module');
    const list = layout?.member('list');
    const name = layout?.member('name');
    const state = layout?.member('state');
    // Where they are without KASLR, and all else that KASLR can move them to.
    const start = info.number('MODULES_VADDR');
    const end = info.number('VMALLOC_END');
    if (!list || !name || !state || start === undefined || end === undefined) return undefined;
    const isNode = (node: bigint): boolean => {
      const module = node - BigInt(list.offset);
      const text = this.#text(module + BigInt(name.offset), name.size);
      const is = this.#number(module + BigInt(state.offset), 4);
      return text !== undefined && is !== undefined && is <= 3;
    };
    return only([...headsOf(memory, this.#bytes, { start, end }, isNode)]);
  }

  /** The head of the list whose nodes are all in a `struct btf_module` of a loaded module. */
  #moduleTypes(): bigint | undefined {
    const { memory, directMap } = this.#source;
    const layout = this.#source.struct('btf_module');
    const list = layout?.member('list');
    const module = layout?.member('module');
    const modules = this.find('modules');
    const link = this.#source.struct('module')?.member('list');
    if (!list || !module || !link || modules === undefined || directMap === undefined)
      return undefined;
    const loaded = new Set(ring(memory, modules)?.map((node) => node - BigInt(link.offset)));
    const isNode = (node: bigint): boolean => {
      const of = this.#wordOrNot(node - BigInt(list.offset) + BigInt(module.offset));
      return of !== undefined && loaded.has(of);
    };
    const range = { start: directMap.address, end: directMap.address + BigInt(directMap.length) };
    return only([...headsOf(memory, this.#bytes, range, isNode)]);
  }

  #inDirectMap(address: bigint): boolean {
    const { directMap } = this.#source;
    if (directMap === undefined) return false;
    const into = address - directMap.address;
    return into >= 0n && into < BigInt(directMap.length);
  }

  /** A text of printable characters that ends in NUL within so many bytes. */
  #text(address: bigint, most: number): string | undefined {
    try {
      const view = this.#source.memory.read(BigInt.asUintN(64, address), most);
      const bytes = Buffer.from(view.buffer, view.byteOffset, most);
      const end = bytes.indexOf(0);
      const text = bytes.toString('latin1', 0, Math.max(end, 0));
      return PRINTABLE.test(text) ? text : undefined;
    } catch (error) {
      if (error instanceof ReadError) return undefined;
      throw error;
    }
  }

  #number(address: bigint, bytes: 4): number | undefined {
    try {
      return this.#source.memory.read(BigInt.asUintN(64, address), bytes).getUint32(0, true);
    } catch (error) {
      if (error instanceof ReadError) return undefined;
      throw error;
    }
  }

  #wordOrNot(address: bigint): bigint | undefined {
    try {
      return word(this.#source.memory, address);
    } catch (error) {
      if (error instanceof ReadError) return undefined;
      throw error;
    }
  }
}

/** The one of a list; undefined where there is none, or more than one. */
function only(found: readonly bigint[]): bigint | undefined {
  return found.length === 1 ? found[0] : undefined;
}
