import { ReadError, readOrNot } from '../../../base/errors.js';
import { readAround } from '../image-scan.js';
import type { SectionVariable } from '../types.js';
import { CachePointers } from './cache-pointers.js';
import { Evidence, type RecoverySource } from './evidence.js';
import { headsOf, type Memory, numberOrNot, only, ring, textOrNot, word, wordOrNot } from './reads.js';

/**
 * Variables of a kernel whose symbol table contains only functions (CONFIG_KALLSYMS_ALL=n). Most are
 * exported to modules; a few others are found by pointers to them or by their contents. Every result is
 * confirmed by a second source.
 */
export class RecoveredSymbols {
  readonly #evidence: Evidence;
  readonly #caches: CachePointers;
  readonly #known = new Map<string, bigint | undefined>();
  #perCpu: ReadonlyMap<string, bigint> | undefined;

  constructor(source: RecoverySource) {
    this.#evidence = new Evidence(source);
    this.#caches = new CachePointers(this.#evidence);
  }

  find(name: string): bigint | undefined {
    if (!this.#known.has(name)) {
      // A rule that looks up its own name, even indirectly, gets no result.
      this.#known.set(name, undefined);
      const address = this.#recover(name);
      if (address !== undefined) readAround(this.#evidence.source.memory, address);
      this.#known.set(name, address);
    }
    return this.#known.get(name);
  }

  #recover(name: string): bigint | undefined {
    try {
      const exported = this.#evidence.exported.get(name);
      if (exported !== undefined) return exported;
      if (this.#caches.has(name)) return this.#caches.find(name);
      switch (name) {
        case 'socket_file_ops':
          return socketOperations(this.#evidence);
        case 'proto_list':
          return protocolList(this.#evidence);
        case 'max_pfn':
          return lastFrame(this.#evidence);
        case 'modules':
          return moduleList(this.#evidence);
        case 'btf_modules':
          return moduleTypesList(this.#evidence, this.find('modules'));
        default:
          return this.#templates.get(name);
      }
    } catch (error) {
      if (error instanceof ReadError) return undefined;
      throw error;
    }
  }

  /** Addresses of per-CPU variables in the template. */
  get #templates(): ReadonlyMap<string, bigint> {
    this.#perCpu ??= findPerCpu(this.#evidence.source.types.perCpuVariables(), this.#evidence.exported);
    return this.#perCpu;
  }
}

/** `proto_list`: the head of the list that contains `tcp_prot.node`: the one node that is not in a `struct proto`. */
function protocolList(evidence: Evidence): bigint | undefined {
  const { source } = evidence;
  const tcp = evidence.exported.get('tcp_prot');
  const layout = source.types.struct('proto');
  const node = layout?.member('node');
  const name = layout?.member('name');
  const size = layout?.member('obj_size');
  if (tcp === undefined || !node || !name || !size) return undefined;
  const { memory } = source;
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

/** A page frame number can be a frequent word. */
const MAX_WORDS = 65_536;

/**
 * `max_pfn`: contains the page frame at the end of the memory below `high_memory`, and is followed by
 * `min_low_pfn` (mm/memblock.c): the first frame, before which nothing is mapped.
 */
function lastFrame(evidence: Evidence): bigint | undefined {
  const { directMap, arch, memory } = evidence.source;
  const variable = evidence.exported.get('high_memory');
  if (variable === undefined || directMap === undefined) return undefined;
  const into = word(memory, variable) - directMap.address;
  const end = BigInt(directMap.physical) + into;
  if (into <= 0n || into > BigInt(directMap.length) || end % BigInt(arch.pageSize) !== 0n) return undefined;
  const frame = end / BigInt(arch.pageSize);
  const isFirst = (first: bigint): boolean => {
    const at = directMap.address + first * BigInt(arch.pageSize) - BigInt(directMap.physical);
    return readOrNot(() => !arch.protection(at - 1n) && arch.protection(at) !== undefined) === true;
  };
  const variables = evidence.bytes.wordsEqual(frame, MAX_WORDS).map((at) => evidence.bytes.address(at));
  return evidence.only(variables, (from, at) => {
    const next = wordOrNot(from, at + 8n);
    if (next === undefined || next === 0n || next >= frame || !isFirst(next)) return false;
    const writable = readOrNot(() => arch.protection(at)?.writable);
    return wordOrNot(from, at) === frame && writable === true;
  });
}

/** Functions of `socket_file_ops` (net/socket.c), by member. */
const SOCKET_OPERATIONS = {
  read_iter: 'sock_read_iter',
  write_iter: 'sock_write_iter',
  poll: 'sock_poll',
  mmap: 'sock_mmap',
  release: 'sock_close',
  fasync: 'sock_fasync',
} as const;

const MAX_PLACES = 64;

/** `socket_file_ops`: the only function table that contains all of the socket functions. */
function socketOperations(evidence: Evidence): bigint | undefined {
  const { source } = evidence;
  const layout = source.types.struct('file_operations');
  if (layout === undefined) return undefined;
  const expected: { offset: number; address: bigint }[] = [];
  for (const [member, name] of Object.entries(SOCKET_OPERATIONS)) {
    const offset = layout.member(member)?.offset;
    const symbols = source.symbols.find(name);
    if (offset !== undefined && symbols.length === 1) expected.push({ offset, address: symbols[0]!.address });
  }
  const first = expected[0];
  if (first === undefined || expected.length < 4) return undefined;
  const tables = evidence.bytes
    .wordsEqual(first.address, MAX_PLACES)
    .map((at) => evidence.bytes.address(at - first.offset));
  const table = evidence.only(tables, (memory, at) =>
    expected.every(({ offset, address }) => wordOrNot(memory, at + BigInt(offset)) === address),
  );
  // The word that a scan searches for may be on the next page.
  if (table !== undefined) readAround(source.memory, table + BigInt(first.offset));
  return table;
}

/** `modules`: the head of the list whose nodes are all in a `struct module`. */
function moduleList(evidence: Evidence): bigint | undefined {
  const { source } = evidence;
  const { info } = source;
  const layout = source.types.struct('module');
  const list = layout?.member('list');
  const name = layout?.member('name');
  const state = layout?.member('state');
  // Their address without KASLR, and everywhere else that KASLR can move them.
  const start = info.number('MODULES_VADDR');
  const end = info.number('VMALLOC_END');
  if (!list || !name || !state || start === undefined || end === undefined) return undefined;
  return listHead(evidence, { start, end }, (memory, node) => {
    const module = node - BigInt(list.offset);
    const text = textOrNot(memory, module + BigInt(name.offset), name.size);
    const is = numberOrNot(memory, module + BigInt(state.offset));
    return text !== undefined && is !== undefined && is <= 3;
  });
}

/**
 * `btf_modules`: the head of the list whose nodes are all in a `struct btf_module` of a loaded module.
 *
 * @param modules address of the list of modules
 */
function moduleTypesList(evidence: Evidence, modules: bigint | undefined): bigint | undefined {
  const { source } = evidence;
  const { memory, directMap } = source;
  const layout = source.types.struct('btf_module');
  const list = layout?.member('list');
  const module = layout?.member('module');
  const link = source.types.struct('module')?.member('list');
  if (!list || !module || !link || modules === undefined || directMap === undefined) return undefined;
  const loaded = new Set(ring(memory, modules)?.map((node) => node - BigInt(link.offset)));
  const range = { start: directMap.address, end: directMap.address + BigInt(directMap.length) };
  return listHead(evidence, range, (from, node) => {
    const of = wordOrNot(from, node - BigInt(list.offset) + BigInt(module.offset));
    return of !== undefined && loaded.has(of);
  });
}

/** Returns the only list head in the image whose nodes are all in a range and pass a test. */
function listHead(
  evidence: Evidence,
  range: { readonly start: bigint; readonly end: bigint },
  isNode: (memory: Memory, node: bigint) => boolean,
): bigint | undefined {
  const { search } = evidence.source;
  const heads = headsOf(search, evidence.bytes, range, (node) => isNode(search, node));
  return evidence.only(heads, (memory, head) => ring(memory, head)?.every((node) => isNode(memory, node)) === true);
}

/** Number of exported per-CPU variables that must match the types before others are trusted. */
const MIN_CONFIRMED = 3;

/**
 * Addresses of per-CPU variables in the template; they are the only variables in BTF, with their
 * offsets in `.data..percpu`; the exported ones locate its start. Includes `__per_cpu_start` and, as
 * `__per_cpu_end`, the end of the last variable: alignment may follow.
 *
 * @param exported name → address of the exported symbols
 * @returns empty if the exported variables disagree on the start
 */
export function findPerCpu(
  variables: ReadonlyMap<string, SectionVariable>,
  exported: ReadonlyMap<string, bigint>,
): ReadonlyMap<string, bigint> {
  const offsets = new Map<string, bigint>();
  let start: bigint | undefined;
  let confirmed = 0;
  for (const [name, { offset }] of variables) {
    const address = exported.get(name);
    if (address === undefined) continue;
    const begins = BigInt.asUintN(64, address - BigInt(offset));
    if (start !== undefined && begins !== start) return offsets;
    start = begins;
    confirmed++;
  }
  if (start === undefined || confirmed < MIN_CONFIRMED) return offsets;
  let end = 0;
  for (const [name, { offset, size }] of variables) {
    offsets.set(name, start + BigInt(offset));
    end = Math.max(end, offset + size);
  }
  offsets.set('__per_cpu_start', start);
  offsets.set('__per_cpu_end', start + BigInt(end));
  return offsets;
}
