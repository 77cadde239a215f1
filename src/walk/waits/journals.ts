import { readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import { StructReader } from '../struct-reader.js';
import { kthreadData } from './completions.js';
import type { Wait, WaitContext, Waiting } from './wait-context.js';

/** Functions that wait for a journal (fs/jbd2). */
const WAITS = /^(jbd2_|wait_transaction_|add_transaction_credits|start_this_handle|kjournald2)/;

/** Wait queues of `struct journal_s`, and whether the commit thread wakes them. */
const QUEUES = {
  j_wait_transaction_locked: true,
  j_wait_done_commit: true,
  j_wait_commit: false,
  j_wait_updates: false,
  j_wait_reserved: false,
} as const;

/** The journal whose wait queue this is: its thread knows it, too (`kthread.data`). */
export function journalOf(
  context: WaitContext,
  { task, name: waits }: Waiting,
  head: bigint,
): Pick<Wait, 'owner' | 'superBlock' | 'holders'> | undefined {
  if (!WAITS.test(waits)) return undefined;
  const { kernel } = context;
  const names = Object.keys(QUEUES) as (keyof typeof QUEUES)[];
  const reader = StructReader.ifPresent(kernel, 'journal_s', [
    'j_task',
    'j_private',
    'j_fs_dev',
    'j_barrier_count',
    'j_running_transaction',
    'j_committing_transaction',
    ...names,
  ]);
  if (!reader) return undefined;
  for (const name of names) {
    const journal = reader.containerOf(head, name);
    const view = readOrNot(() => reader.read(journal));
    const thread = view?.pointer('j_task') ?? 0n;
    if (!view || !context.isTask(thread) || readOrNot(() => kthreadData(context, thread)) !== journal) continue;
    const contradict = (words: string) => context.contradict(`journal at ${hex(journal)}: ${words}`);
    const superBlock = view.pointer('j_private');
    const device = StructReader.ifPresent(kernel, 'super_block', ['s_bdev']);
    const own = device && readOrNot(() => device.read(superBlock).pointer('s_bdev'));
    if (own !== view.pointer('j_fs_dev')) contradict('j_private is not its file system');
    const isCommit = QUEUES[name] && task.address !== thread;
    if (isCommit && view.number('j_barrier_count') === 0) return { superBlock, owner: thread };
    const both = [view.pointer('j_running_transaction'), view.pointer('j_committing_transaction')];
    const holders = holdersOf(context, both);
    if (name === 'j_wait_updates' && holders.length === 0) contradict('it waits for open handles, but no task has one');
    return { superBlock, holders };
  }
  context.contradict(
    `pid ${task.pid} waits for a journal, but the wait queue at ${hex(head)} is in none whose thread knows it`,
  );
  return undefined;
}

/** Tasks with an open handle of one of these transactions. */
function holdersOf(context: WaitContext, transactions: readonly bigint[]): bigint[] {
  const { kernel } = context;
  const handle = StructReader.ifPresent(kernel, 'jbd2_journal_handle', ['h_transaction']);
  const updates = StructReader.ifPresent(kernel, 'transaction_s', ['t_updates.counter']);
  if (!handle || !updates) return [];
  const existing = transactions.filter((address) => address !== 0n);
  const holders = [...context.tasks.values()].filter(({ address }) => {
    const info = readOrNot(() => context.pointerOf(address, 'journal_info')) ?? 0n;
    const of = info && readOrNot(() => handle.read(info).pointer('h_transaction'));
    return of !== undefined && of !== 0n && existing.includes(of);
  });
  const count = existing.reduce((sum, at) => sum + updates.read(at).number('t_updates.counter'), 0);
  if (count !== holders.length)
    context.contradict(`transactions of a journal count ${count} open handles, but ${holders.length} tasks have one`);
  return holders.map(({ address }) => address);
}
