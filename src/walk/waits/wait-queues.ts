import { readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { isFutexBucket } from './futex-hash.js';
import { journalOf } from './journals.js';
import type { Wait, WaitContext, WaiterList, Waiting } from './wait-context.js';
import type { Waiter } from './waiter.js';

/** WAIT_TABLE_SIZE and PAGE_WAIT_TABLE_SIZE (kernel/sched/wait_bit.c, mm/filemap.c). */
const BUCKETS = 256n;
const GOLDEN_RATIO = 0x61c8_8646_80b5_83ebn;

/** What a waiter on a wait queue waits for, by the function that wakes it. */
const WAKES: Readonly<Record<string, (context: WaitContext, waiter: Waiter, queue: WaiterList) => Wait>> = {
  wake_page_function: pageWait,
  wake_bit_function: bitWait,
  var_wake_function: bitWait,
  percpu_rwsem_wake_function: (context, _, { address, listed = [] }) => {
    const at = context.kernel.struct('percpu_rw_semaphore')?.member('waiters.head')?.offset;
    const kind = 'percpu-rw-semaphore';
    return address === undefined || at === undefined ? { kind } : { kind, address: address - BigInt(at), listed };
  },
};

/** A wait queue, of which there are several kinds; or an unknown wait. */
export function queuedWait(context: WaitContext, waiting: Waiting): Wait {
  const { kernel, devices } = context;
  const { task, stack, name } = waiting;
  const waiter = context.waiters.onStack(stack, task.address, ['wait-queue']);
  if (waiter === undefined) return { kind: 'unknown' };
  const list = context.queueOf(waiter);
  if (name === 'blk_mq_get_tag') {
    const tags = new StructReader(kernel, 'sbq_wait', ['sbq', 'wait']);
    const queue = devices.queueOfTags(tags.readContainer(waiter.address, 'wait').pointer('sbq'));
    if (queue !== undefined) return { kind: 'io', address: queue };
  }
  const entry = new StructReader(kernel, 'wait_queue_entry', ['func']);
  const wakes = kernel.symbolAt?.(entry.read(waiter.address).pointer('func'))?.name;
  const special = WAKES[plain(wakes ?? '')];
  if (special) return special(context, waiter, list);
  const { address, listed = [] } = list;
  const at = kernel.struct('wait_queue_head')?.member('head')?.offset;
  if (address === undefined || at === undefined) return { kind: 'wait-queue' };
  const queue = { address: address - BigInt(at), listed };
  const journal = journalOf(context, waiting, queue.address);
  if (journal) return { kind: 'journal', ...queue, ...journal };
  const frozen = /^(blk|__bio)_queue_enter/.test(name) && devices.queueAround(address);
  return frozen ? { kind: 'io', address: frozen } : { kind: 'wait-queue', ...queue };
}

/** The name without the suffix of a clone that the compiler made. */
export const plain = (name: string): string => name.replace(/\..*$/, '');

/** What a waiter in a shared hash bucket waits for, and the tasks there that wait for the same. */
function hashed<Key extends Pick<Wait, 'address' | 'bit' | 'space'>>(
  { stacks, waiters }: WaitContext,
  waiter: Waiter,
  listed: readonly bigint[] = [],
  keyOf: (waiter: Waiter) => Key,
): Key & { readonly listed: readonly bigint[] } {
  const key = keyOf(waiter);
  const same = listed.filter((task) => {
    const stack = readOrNot(() => stacks.of(task));
    const other = stack && waiters.onStack(stack, task, [waiter.shape]);
    const its = other && keyOf(other);
    return its?.address === key.address && its?.bit === key.bit && its?.space === key.space;
  });
  return { ...key, listed: same };
}

/** Compares the bucket that a waiter is in with its key (hash_long, include/linux/hash.h). */
function checkBucket(context: WaitContext, head = 0n, names: readonly string[], key: bigint): void {
  const { kernel } = context;
  const [table] = names.flatMap((name) => kernel.symbol(name) ?? []);
  const layout = kernel.struct('wait_queue_head');
  const [size, list] = [BigInt(layout?.size ?? 0), BigInt(layout?.member('head')?.offset ?? 0)];
  if (table === undefined || head < table || head >= table + size * BUCKETS) return;
  const index = BigInt.asUintN(64, key * GOLDEN_RATIO) / (2n ** 64n / BUCKETS);
  if (head !== table + index * size + list)
    context.contradict(`a waiter for ${hex(key)} is in the wait queue at ${hex(head)}, which is for others`);
}

function pageWait(context: WaitContext, waiter: Waiter, { address: head, listed }: WaiterList): Wait {
  const { kernel } = context;
  const member = kernel.struct('wait_page_queue')?.member('folio') ? 'folio' : 'page';
  const queue = new StructReader(kernel, 'wait_page_queue', [member, 'bit_nr', 'wait']);
  const page = hashed(context, waiter, listed, ({ address }) => {
    const view = queue.readContainer(address, 'wait');
    return { address: view.pointer(member), bit: view.number('bit_nr') | 0 };
  });
  checkBucket(context, head, ['folio_wait_table', 'page_wait_table'], page.address);
  const flags = kernel.enumerators('pageflags');
  const isBit = (name: string) => flags?.get(name) === BigInt(page.bit);
  const word = readOrNot(() => pointerPartOf(kernel, 'struct page', page.address, page.address));
  // Who clears the bit wakes its waiters; on a running kernel that may happen between the reads.
  if (!kernel.facts.live && word !== undefined && ((word >> BigInt(page.bit & 63)) & 1n) === 0n)
    context.torn(`a task waits for bit ${page.bit} of the page at ${hex(page.address)}, which is clear`);
  const kind = isBit('PG_locked') ? 'page-lock' : isBit('PG_writeback') ? 'writeback' : 'page-bit';
  return { kind, ...page };
}

function bitWait(context: WaitContext, waiter: Waiter, { address: head, listed }: WaiterList): Wait {
  const queue = new StructReader(context.kernel, 'wait_bit_queue_entry', ['key.flags', 'key.bit_nr', 'wq_entry']);
  const word = hashed(context, waiter, listed, ({ address }) => {
    const view = queue.readContainer(address, 'wq_entry');
    return { address: view.pointer('key.flags'), bit: view.number('key.bit_nr') | 0 };
  });
  const { bit, ...variable } = word;
  const { address } = word;
  if (address >> 63n === 0n)
    context.contradict(`a task waits for a bit at ${hex(address)}, which is not in the kernel`);
  // The key of a variable is its address alone.
  checkBucket(context, head, ['bit_wait_table'], bit < 0 ? address : (address << 6n) | BigInt(bit));
  return { kind: 'bit', ...(bit < 0 ? variable : word) };
}

/** A futex by its key (include/linux/futex.h): address in user space, and the memory or file that it is in. */
export function futexWait(context: WaitContext, waiting: Waiting): Wait {
  const waiter = context.waiterOf(waiting, 'futex');
  if (waiter === undefined) return { kind: 'futex' };
  const { kernel } = context;
  const queue = new StructReader(kernel, 'futex_q', ['key.both.word', 'key.both.ptr', 'key.both.offset']);
  const node = waiter.node - waiter.address;
  const pageSize = BigInt(kernel.facts.pageSize);
  const { address: head, listed } = context.listOf(waiter);
  const futex = hashed(context, waiter, listed, ({ address }) => {
    const view = queue.read(address);
    const [page, space] = [view.pointer('key.both.word'), view.pointer('key.both.ptr')];
    const offset = view.number('key.both.offset');
    const contradict = (words: string) => context.contradict(`the futex_q at ${hex(address)} is ${words}`);
    // FUT_OFF_INODE: a page of a file. Others are in the memory of the process.
    const isFile = (offset & 1) !== 0;
    const task = context.waiters.taskOf(context.waiters.at(address + node, 'futex'));
    const own = isFile ? undefined : readOrNot(() => context.pointerOf(task, 'mm'));
    if (own !== undefined && own !== space) contradict(`for the memory at ${hex(space)}, but its task has ${hex(own)}`);
    if (!isFile && (page % pageSize !== 0n || page >> 63n === 1n)) contradict(`for a page at ${hex(page)}`);
    if (head !== undefined && !isFutexBucket(kernel, head, [space, page, offset]))
      contradict(`in the hash bucket at ${hex(head)}, which is for other keys`);
    return { address: page * (isFile ? pageSize : 1n) + BigInt(offset & ~3), space };
  });
  return { kind: 'futex', ...futex };
}
