import { damaged, ReadError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { PageReader } from '../pages/pages.js';
import { StructReader } from '../struct-reader.js';
import { taskTable } from '../tasks/task-table.js';
import { blockRequestFrames } from './block-requests.js';
import { framesOfPages } from './page-array.js';

/** Frames of a permanent kernel table, and the variable that points to it. */
export interface TableFrames {
  readonly name: string;
  readonly frames: Iterable<number>;
}

/** A hash table: the variable, or its members, with the pointer and the number of buckets. */
interface HashTable {
  readonly symbol: string;
  /** Type of `symbol`; undefined: a pointer to the first bucket. */
  readonly struct?: string;
  readonly pointer?: string;
  /** A member, or a variable: the last bucket's number, or the number of buckets. */
  readonly mask?: string;
  readonly count?: string;
  /** The type of a bucket, or its size in bytes. */
  readonly bucket: string | number;
}

const TCP = { symbol: 'tcp_hashinfo', struct: 'inet_hashinfo' } as const;
const UDP = { struct: 'udp_table', mask: 'mask' } as const;

/** Tables that alloc_large_system_hash allocates from the buddy allocator, not from boot memory. */
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

/** Maximum size of a table, in bytes. */
const MAX_BYTES = 2 ** 36;

/** Minimum alignment of boot memory and of pages (SMP_CACHE_BYTES); bytes. */
const CACHE_LINE = 64n;

/** Maximum number of ftrace pages: kernels have a few hundred. */
const MAX_FTRACE_PAGES = 2 ** 20;

/**
 * Permanent kernel tables that cannot be found through an allocator: hash tables of protocols, ftrace's list
 * of functions, requests of block devices. Tables that this kernel lacks are omitted.
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
  // Tables that this kernel did not create.
  if (address === 0n && buckets === 0) return undefined;
  const many = mask === undefined ? buckets : buckets + 1;
  // The low bits of a hash select the bucket, so the number of buckets is a power of two.
  const isPower = many > 0 && Number.isInteger(Math.log2(many));
  if (isPower && many * size <= MAX_BYTES && address % CACHE_LINE === 0n) return { address, bytes: many * size };
  throw damaged(`${symbol} is a table of ${many} buckets`);
}

/** `ftrace_pages_start`: groups of records, each in separate pages (kernel/trace/ftrace.c). */
function* ftraceFrames(kernel: Kernel): Generator<number> {
  const start = kernel.symbol('ftrace_pages_start');
  const layout = kernel.struct('ftrace_page');
  if (start === undefined || !layout) return;
  // Since 5.11 the order of the pages; before, the number of records.
  const many = layout.member('order') ? 'order' : 'size';
  const reader = new StructReader(kernel, 'ftrace_page', ['next', 'records', many]);
  const record = kernel.struct('dyn_ftrace')?.size ?? 0;
  const seen = new Set<bigint>();
  let found = 0;
  for (let at = pointerPartOf(kernel, 'ftrace_pages_start', start, start); at !== 0n; ) {
    if (seen.has(at) || seen.size > MAX_FTRACE_PAGES)
      throw damaged('ftrace_pages_start list does not terminate (loop?)');
    seen.add(at);
    const view = reader.read(at);
    const count = view.number(many);
    const bytes = many === 'order' ? 2 ** count * kernel.facts.pageSize : count * record;
    if (bytes > MAX_BYTES) throw damaged('a ftrace_page does not terminate');
    found += Math.ceil(bytes / kernel.facts.pageSize);
    yield* directFrames(kernel, view.pointer('records'), bytes);
    at = view.pointer('next');
  }
  // Counter since 5.7; unloaded modules are subtracted.
  const number = kernel.symbol('ftrace_number_of_pages');
  if (number === undefined) return;
  const counted = Number(pointerPartOf(kernel, 'ftrace_number_of_pages', number, number));
  if (counted !== found) {
    throw damaged(`ftrace counts ${counted} pages of records, and ${found} are there`);
  }
}

/** ftrace's list of commands by pid: one block that contains all of it (trace_sched_switch.c). */
function* savedCommandFrames(kernel: Kernel): Generator<number> {
  const at = kernel.symbol('savedcmd');
  const layout = kernel.struct('saved_cmdlines_buffer');
  if (at === undefined || !layout?.member('saved_cmdlines')) return;
  const start = pointerPartOf(kernel, 'savedcmd', at, at);
  if (start === 0n) return;
  const commands = new StructReader(kernel, layout.name, ['saved_cmdlines']);
  const count = new StructReader(kernel, layout.name, ['cmdline_num']).read(start);
  // An array at the end of the struct since 6.8, and in kernels that backported that fix.
  const { offset, pointer } = commands.members.saved_cmdlines;
  const first = pointer ? Number(commands.read(start).pointer('saved_cmdlines') - start) : offset;
  const bytes = first + count.number('cmdline_num') * COMMAND_BYTES;
  if (bytes > 0 && bytes <= MAX_SAVED) yield* directFrames(kernel, start, bytes);
}

/** TASK_COMM_LEN */
const COMMAND_BYTES = 16;

/** Maximum size in bytes: tracefs' saved_cmdlines_size is limited to PID_MAX_DEFAULT commands. */
const MAX_SAVED = 2 ** 24;

/** Array of pointers to the kernel's types by number, for the BPF verifier. */
function* btfFrames(kernel: Kernel): Generator<number> {
  const at = kernel.symbol('btf_vmlinux');
  if (at === undefined || !kernel.struct('btf')?.member('types_size')) return;
  const own = pointerPartOf(kernel, 'btf_vmlinux', at, at);
  if (own === 0n || own >= 2n ** 64n - 4096n) return;
  const view = new StructReader(kernel, 'btf', ['types', 'types_size']).read(own);
  const bytes = view.number('types_size') * 8;
  if (bytes <= MAX_BYTES) yield* kmallocFrames(kernel, view.pointer('types'), bytes);
}

/** Reserve pages of a mempool (mm/mempool.c). */
function* poolFrames(kernel: Kernel, symbol: string): Generator<number> {
  const at = kernel.symbol(symbol);
  const alloc = kernel.symbol('mempool_alloc_pages');
  if (at === undefined || alloc === undefined || !kernel.struct('mempool')) return;
  const pool = new StructReader(kernel, 'mempool', [
    'curr_nr',
    'min_nr',
    'elements',
    'pool_data',
    'alloc',
  ] as const).read(at);
  const [count, order] = [pool.number('curr_nr'), pool.number('pool_data')];
  // The pool was never created.
  if (pool.pointer('alloc') === 0n && pool.number('min_nr') === 0) return;
  // For a pool of pages, the pool's data is their order.
  if (pool.pointer('alloc') !== alloc || order > 30 || count > pool.number('min_nr'))
    throw damaged(`${symbol} is no pool of pages`);
  const elements = pool.pointer('elements');
  for (const frame of framesOfPages(kernel, symbol, elements, Math.min(count, MAX_ELEMENTS)))
    for (let index = 0; index < 2 ** order; index++) yield frame + index;
}

const MAX_ELEMENTS = 2 ** 16;

/** The same for a kmalloc: a large one uses its whole compound page. */
function* kmallocFrames(kernel: Kernel, address: bigint, bytes: number): Generator<number> {
  const first = kernel.pages.frameOf(new Pointer().set(address));
  const block = first < 0 ? undefined : new PageReader(kernel).block(kernel.pages.pageOfFrame(first));
  const whole = block?.kind === 'page' && block.frame === first ? 2 ** (block.order ?? 0) : 0;
  yield* directFrames(kernel, address, Math.max(bytes, whole * kernel.facts.pageSize));
}

/** Frames of a range of the direct map; none for vmalloc memory. */
function* directFrames(kernel: Kernel, address: bigint, bytes: number): Generator<number> {
  const first = kernel.pages.frameOf(new Pointer().set(address));
  if (first < 0) {
    if (!kernel.physicalOf || kernel.physicalOf(address) !== undefined) return;
    throw damaged(`a table lies at ${hex(address)}, which is no memory`);
  }
  const last = Math.ceil(bytes / kernel.facts.pageSize);
  for (let index = 0; index < last; index++) yield first + index;
}

/** A top-level page table: its address in the direct map, and the frame that it is in. */
export interface PageDirectory {
  readonly address: bigint;
  readonly frame: number;
}

/**
 * Top-level page tables of processes (`mm_struct.pgd`), which the kernel does not count as page
 * tables. With KPTI there are two adjacent ones, and `pgd` points to the first.
 *
 * @throws as taskTable does; {@link KernelError} `damaged` for a process without one; after all others, if
 * tasks are missing
 */
export function* pageDirectories(kernel: Kernel): Generator<PageDirectory> {
  const task = new StructReader(kernel, 'task_struct', ['mm', 'active_mm']);
  const memory = new StructReader(kernel, 'mm_struct', ['pgd']);
  const { processes, lost } = taskTable(kernel);
  const seen = new Set<bigint>([0n]);
  const directories = new Set<bigint>();
  const own = kernel.symbol('init_mm');
  const at = new Pointer();
  for (const process of processes) {
    const view = task.read(process.address);
    for (const mm of [view.pointer('mm'), view.pointer('active_mm')]) {
      if (seen.has(mm)) continue;
      seen.add(mm);
      const pgd = memory.read(mm).pointer('pgd');
      if (directories.has(pgd) && !kernel.facts.live) throw damaged(`two mms have their page tables at ${hex(pgd)}`);
      directories.add(pgd);
      const frame = kernel.pages.frameOf(at.set(pgd));
      if (frame >= 0) yield { address: pgd, frame };
      // The page table of the kernel's own mm is in the image.
      else if (mm !== own) throw damaged(`the mm at ${hex(mm)} has no page tables`);
    }
  }
  for (const name of PRIVATE_SPACES) {
    const pgd = privateSpace(kernel, name, memory);
    const frame = pgd === 0n || directories.has(pgd) ? -1 : kernel.pages.frameOf(at.set(pgd));
    if (frame < 0 && pgd !== 0n && name !== 'efi_mm') throw damaged(`${name} has no page tables of its own`);
    if (frame >= 0) yield { address: pgd, frame };
  }
  if (lost) throw lost;
}

/** Address spaces that no task has: for patching code (a pointer; older and newer name), and for EFI. */
const PRIVATE_SPACES = ['poking_mm', 'text_poke_mm', 'efi_mm'] as const;

/** Address of a top table, set at boot; 0: there is none, or an extract did not keep it (its pages are then unattributed). */
function privateSpace(kernel: Kernel, name: (typeof PRIVATE_SPACES)[number], memory: StructReader<'pgd'>): bigint {
  const symbol = kernel.symbol(name);
  if (symbol === undefined) return 0n;
  try {
    const mm = name === 'efi_mm' ? symbol : kernel.read(symbol, 8).getBigUint64(0, true);
    if (mm === 0n) throw damaged(`${name} is NULL`);
    return memory.read(mm).pointer('pgd');
  } catch (error) {
    if (isFiltered(kernel, error)) return 0n;
    throw error;
  }
}

/**
 * Frames of the tables below a top one that map 1 GiB and more per entry (PUD, P4D). Older kernels do not mark
 * them as page tables (no pagetable_pud_ctor, include/linux/mm.h).
 *
 * @param address of the top table, which may be an object within a page (arm64)
 * @param least levels below the lowest wanted table
 * @throws {ReadError} after all others, if one cannot be read
 */
export function* upperTables(kernel: Kernel, address: bigint, least = 2): Generator<number> {
  const tables: number[] = [];
  let lost: ReadError | undefined;
  kernel.userPages?.(address, {
    table: (frame, levelsBelow) => {
      if (levelsBelow >= least) tables.push(frame);
      return levelsBelow >= Math.max(1, least);
    },
    page: () => undefined,
    absent: () => undefined,
    missing: (_page, _pages, error) => {
      lost ??= error;
    },
  });
  // The first one is the top table.
  yield* tables.slice(1);
  if (lost && !isFiltered(kernel, lost)) throw lost;
}

/**
 * Frames of the tables by which processes map the entry code of the kernel (KPTI), which no task has and the kernel
 * does not mark. Their top table is in the image: behind that of the kernel (x86, kernel_to_user_pgdp), or two pages
 * before it (arm64, TRAMP_SWAPPER_OFFSET).
 *
 * @throws as upperTables
 */
export function* entryTables(kernel: Kernel): Generator<number> {
  const { arch, pageSize } = kernel.facts;
  const top = kernel.symbol('swapper_pg_dir');
  if (top === undefined) return;
  if (arch === 'arm64') yield* upperTables(kernel, top - BigInt(2 * pageSize), 0);
  const own = kernel.symbolAt?.(top + BigInt(pageSize));
  // The second half is for addresses of the kernel. Kernels without KPTI have one page.
  if (arch === 'x86_64' && own?.offset === pageSize) yield* upperTables(kernel, top + BigInt(1.5 * pageSize), 0);
}

/** Whether an extract did not keep some memory. */
function isFiltered(kernel: Kernel, error: unknown): boolean {
  return kernel.physical?.isExtract === true && error instanceof ReadError && error.code === 'filtered';
}
