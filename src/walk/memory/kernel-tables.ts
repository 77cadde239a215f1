import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { PageReader } from '../pages/pages.js';
import { StructReader } from '../struct-reader.js';
import { blockRequestFrames } from './block-requests.js';
import { framesOfPages } from './page-array.js';

/** Frames of a table that the kernel keeps for good, and the variable that leads to it. */
export interface TableFrames {
  readonly name: string;
  readonly frames: Iterable<number>;
}

/** A hash table: the variable or its members that hold the pointer and the number of its buckets. */
interface HashTable {
  readonly symbol: string;
  /** `symbol` is of this type; undefined: a pointer to the first bucket. */
  readonly struct?: string;
  readonly pointer?: string;
  /** A member, or a variable of its own: the last bucket's number, or how many there are. */
  readonly mask?: string;
  readonly count?: string;
  /** The type of a bucket; undefined: so many bytes. */
  readonly bucket: string | number;
}

const TCP = { symbol: 'tcp_hashinfo', struct: 'inet_hashinfo' } as const;
const UDP = { struct: 'udp_table', mask: 'mask' } as const;

/** Tables that alloc_large_system_hash takes from the buddy allocator: later than boot memory. */
const HASH_TABLES: readonly HashTable[] = [
  { ...TCP, pointer: 'ehash', mask: 'ehash_mask', bucket: 'inet_ehash_bucket' },
  { ...TCP, pointer: 'bhash', count: 'bhash_size', bucket: 'inet_bind_hashbucket' },
  { ...TCP, pointer: 'bhash2', count: 'bhash_size', bucket: 'inet_bind_hashbucket' },
  { ...TCP, pointer: 'lhash2', mask: 'lhash2_mask', bucket: 'inet_listen_hashbucket' },
  ...['udp_table', 'udplite_table'].flatMap((symbol) => [
    { ...UDP, symbol, pointer: 'hash', bucket: 'udp_hslot' },
    { ...UDP, symbol, pointer: 'hash2', bucket: 'udp_hslot' },
  ]),
  { symbol: 'mount_hashtable', mask: 'm_hash_mask', bucket: 'hlist_head' },
  { symbol: 'mountpoint_hashtable', mask: 'mp_hash_mask', bucket: 'hlist_head' },
  { symbol: 'ip_idents', mask: 'ip_idents_mask', bucket: 4 },
  { symbol: 'ip_tstamps', mask: 'ip_idents_mask', bucket: 4 },
];

/** No table is larger than this; bytes. */
const MOST_BYTES = 2 ** 36;

/** Boot memory and pages both are at least so aligned (SMP_CACHE_BYTES); bytes. */
const CACHE_LINE = 64n;

/** ftrace has a few hundred pages of functions. */
const MOST_FTRACE_PAGES = 2 ** 20;

/**
 * Tables that the kernel keeps for good, outside of any allocator that names them: hash tables of
 * protocols, ftrace's list of functions, requests of block devices. Those that this kernel lacks are left out.
 *
 * @throws {KernelError} `damaged`; {@link ReadError}
 */
export function* kernelTables(kernel: Kernel): Generator<TableFrames> {
  for (const table of HASH_TABLES) {
    const range = hashTable(kernel, table);
    if (range === undefined) continue;
    const name = table.pointer === undefined ? table.symbol : `${table.symbol}.${table.pointer}`;
    yield { name, frames: directFrames(kernel, range.address, range.bytes) };
  }
  yield { name: 'ftrace', frames: ftraceFrames(kernel) };
  yield { name: 'savedcmd', frames: savedCommandFrames(kernel) };
  yield { name: 'btf_vmlinux', frames: btfFrames(kernel) };
  yield { name: 'integrity_buf_pool', frames: poolFrames(kernel, 'integrity_buf_pool') };
  yield { name: 'block requests', frames: blockRequestFrames(kernel) };
}

function hashTable(
  kernel: Kernel,
  { symbol, struct, pointer, mask, count, bucket }: HashTable,
): { address: bigint; bytes: number } | undefined {
  const at = kernel.symbol(symbol);
  const layout = struct === undefined ? undefined : kernel.struct(struct);
  const size = typeof bucket === 'number' ? bucket : kernel.struct(bucket)?.size;
  if (at === undefined || size === undefined) return undefined;
  const limit = mask ?? count ?? '';
  let address: bigint;
  let buckets: number;
  if (struct === undefined) {
    const many = kernel.symbol(limit);
    if (many === undefined) return undefined;
    address = pointerPartOf(kernel, symbol, at, at);
    buckets = readPartOf(kernel, limit, many, many, 4).getUint32(0, true);
  } else {
    const [where, many] = [layout?.member(pointer ?? ''), layout?.member(limit)];
    if (!where || !many) return undefined;
    const view = new StructReader(kernel, struct, [pointer ?? '', limit]).read(at);
    address = view.pointer(pointer ?? '');
    buckets = view.number(limit);
  }
  // Of tables that this kernel did not make.
  if (address === 0n && buckets === 0) return undefined;
  const many = mask === undefined ? buckets : buckets + 1;
  // All of them are found by the low bits of a hash.
  const isPower = many > 0 && Number.isInteger(Math.log2(many));
  if (isPower && many * size <= MOST_BYTES && address % CACHE_LINE === 0n)
    return { address, bytes: many * size };
  throw new KernelError('damaged', `${symbol} is a table of ${many} buckets`);
}

/** `ftrace_pages_start`: groups of records, each in pages of its own (kernel/trace/ftrace.c). */
function* ftraceFrames(kernel: Kernel): Generator<number> {
  const start = kernel.symbol('ftrace_pages_start');
  const layout = kernel.struct('ftrace_page');
  if (start === undefined || !layout) return;
  // Since 5.11 how many pages there are; before, how many records.
  const many = layout.member('order') ? 'order' : 'size';
  const reader = new StructReader(kernel, 'ftrace_page', ['next', 'records', many]);
  const record = kernel.struct('dyn_ftrace')?.size ?? 0;
  const seen = new Set<bigint>();
  let found = 0;
  for (let at = pointerPartOf(kernel, 'ftrace_pages_start', start, start); at !== 0n; ) {
    if (seen.has(at) || seen.size > MOST_FTRACE_PAGES)
      throw new KernelError('damaged', 'ftrace_pages_start list does not terminate (loop?)');
    seen.add(at);
    const view = reader.read(at);
    const told = view.number(many);
    const bytes = many === 'order' ? 2 ** told * kernel.facts.pageSize : told * record;
    if (bytes > MOST_BYTES) throw new KernelError('damaged', 'a ftrace_page does not terminate');
    found += Math.ceil(bytes / kernel.facts.pageSize);
    yield* directFrames(kernel, view.pointer('records'), bytes);
    at = view.pointer('next');
  }
  // Since 5.7; modules take theirs away again.
  const number = kernel.symbol('ftrace_number_of_pages');
  if (number === undefined) return;
  const counted = Number(pointerPartOf(kernel, 'ftrace_number_of_pages', number, number));
  if (counted !== found) {
    const message = `ftrace counts ${counted} pages of records, and ${found} are there`;
    throw new KernelError('damaged', message);
  }
}

/** ftrace's list of commands by pid: one block, in which all of it lies (trace_sched_switch.c). */
function* savedCommandFrames(kernel: Kernel): Generator<number> {
  const at = kernel.symbol('savedcmd');
  const layout = kernel.struct('saved_cmdlines_buffer');
  if (at === undefined || !layout?.member('saved_cmdlines')) return;
  const start = pointerPartOf(kernel, 'savedcmd', at, at);
  if (start === 0n) return;
  const commands = new StructReader(kernel, layout.name, ['saved_cmdlines']);
  const count = new StructReader(kernel, layout.name, ['cmdline_num']).read(start);
  // An array at its end since 6.8, and in kernels that took that fix.
  const { offset, pointer } = commands.members.saved_cmdlines;
  const first = pointer ? Number(commands.read(start).pointer('saved_cmdlines') - start) : offset;
  const bytes = first + count.number('cmdline_num') * COMMAND_BYTES;
  if (bytes > 0 && bytes <= MOST_SAVED) yield* directFrames(kernel, start, bytes);
}

/** TASK_COMM_LEN */
const COMMAND_BYTES = 16;

/** tracefs' saved_cmdlines_size cannot be set beyond PID_MAX_DEFAULT commands. */
const MOST_SAVED = 2 ** 24;

/** The kernel's own types by number, for whoever checks BPF programs: an array of pointers. */
function* btfFrames(kernel: Kernel): Generator<number> {
  const at = kernel.symbol('btf_vmlinux');
  if (at === undefined || !kernel.struct('btf')?.member('types_size')) return;
  const own = pointerPartOf(kernel, 'btf_vmlinux', at, at);
  if (own === 0n || own >= 2n ** 64n - 4096n) return;
  const view = new StructReader(kernel, 'btf', ['types', 'types_size']).read(own);
  const bytes = view.number('types_size') * 8;
  if (bytes <= MOST_BYTES) yield* kmallocFrames(kernel, view.pointer('types'), bytes);
}

/** The pages that a pool keeps for when there is no memory (mm/mempool.c). */
function* poolFrames(kernel: Kernel, symbol: string): Generator<number> {
  const at = kernel.symbol(symbol);
  const alloc = kernel.symbol('mempool_alloc_pages');
  if (at === undefined || alloc === undefined || !kernel.struct('mempool')) return;
  const pool = new StructReader(kernel, 'mempool', [
    ...['curr_nr', 'min_nr', 'elements', 'pool_data', 'alloc'],
  ] as const).read(at);
  const [count, order] = [pool.number('curr_nr'), pool.number('pool_data')];
  // A pool that was never made.
  if (pool.pointer('alloc') === 0n && pool.number('min_nr') === 0) return;
  // Of pages and nothing else: then the data of the pool is their order.
  if (pool.pointer('alloc') !== alloc || order > 30 || count > pool.number('min_nr'))
    throw new KernelError('damaged', `${symbol} is no pool of pages`);
  const elements = pool.pointer('elements');
  for (const frame of framesOfPages(kernel, symbol, elements, Math.min(count, MOST_ELEMENTS)))
    for (let index = 0; index < 2 ** order; index++) yield frame + index;
}

const MOST_ELEMENTS = 2 ** 16;

/** As directFrames, of what is a kmalloc's: a large one has all of its compound page. */
function* kmallocFrames(kernel: Kernel, address: bigint, bytes: number): Generator<number> {
  const first = kernel.pages.frameOf(new Pointer().set(address));
  const block =
    first < 0 ? undefined : new PageReader(kernel).block(kernel.pages.pageOfFrame(first));
  const whole = block?.kind === 'page' && block.frame === first ? 2 ** (block.order ?? 0) : 0;
  yield* directFrames(kernel, address, Math.max(bytes, whole * kernel.facts.pageSize));
}

/** Frames of a range of the direct map; none of what lies in vmalloc's address space. */
function* directFrames(kernel: Kernel, address: bigint, bytes: number): Generator<number> {
  const first = kernel.pages.frameOf(new Pointer().set(address));
  if (first < 0) {
    if (!kernel.physicalOf || kernel.physicalOf(address) !== undefined) return;
    throw new KernelError('damaged', `a table lies at ${hex(address)}, which is no memory`);
  }
  const last = Math.ceil(bytes / kernel.facts.pageSize);
  for (let index = 0; index < last; index++) yield first + index;
}
