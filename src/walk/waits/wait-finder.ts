import { readOrNot } from '../../base/errors.js';
import type { WaitKind } from '../../records/waits.js';
import { StructReader } from '../struct-reader.js';
import type { Task } from '../tasks/tasks.js';
import { completionWait, ioWait } from './completions.js';
import { lockWait, percpuWriterWait, rtMutexWait } from './locks.js';
import { type SavedStack, wordsOf } from './saved-stacks.js';
import { type Wait, WaitContext, type Waiting } from './wait-context.js';
import { futexWait, plain, queuedWait } from './wait-queues.js';

/** Functions below the one that waits: a task in any wait runs them. */
const SCHEDULES =
  /^(__switch_to\w*|__schedule|schedule(_preempt_disabled|_timeout\w*|_hrtimeout\w*|_rtlock)?|io_schedule\w*|rt_mutex_schedule|preempt_schedule\w*|context_switch|bit_wait\w*|wait_woken)$/;
const COMPLETES = /^(__|do_)?wait_for_com(pletion|mon)/;
const RCU = /^(__)?(synchronize_(s?rcu|rcu_\w+|rcu)|wait_rcu_gp|rcu_barrier|srcu_barrier)|^__synchronize_srcu/;

/** Families of waits by the function that waits (kernel/locking, kernel/sched), and what finds their objects. */
const FAMILIES: readonly (readonly [RegExp, (context: WaitContext, waiting: Waiting) => Wait])[] = [
  [RCU, () => ({ kind: 'rcu' })],
  [/^(__)?rt_mutex_(slow)?lock|^rt_mutex_wait_proxy_lock/, rtMutexWait],
  [/^ptrace_stop$/, tracedWait],
  [/^(__)?(ww_)?mutex_lock/, lockWait('mutex')],
  [/^rwsem_down_(read|write)_slowpath/, lockWait('rw-semaphore')],
  [/^_{2,3}down(_common|_interruptible|_killable|_timeout)?\b/, lockWait('semaphore')],
  [COMPLETES, completionWait],
  // futex_waitv keeps its waiters elsewhere.
  [/^(__)?futex_(do_)?wait(?!_multiple)/, futexWait],
  [/^percpu_down_write$/, percpuWriterWait],
  [/^/, queuedWait],
];

/** Functions that a task in a futex runs, by release. */
const IN_FUTEX = ['futex_wait', '__futex_wait', 'futex_wait_queue', 'futex_wait_queue_me', 'futex_do_wait'];
/** More bytes than any of them has. */
const MAX_FUNCTION = 4096n;

/** Functions that wait for a page (mm/filemap.c), and what they wait for. */
const PAGE_WAITS: readonly (readonly [RegExp, WaitKind])[] = [
  [/^(folio_wait|wait_on_page)_writeback/, 'writeback'],
  [/^__(folio_lock|lock_page)/, 'page-lock'],
];
const isPageWait = (kind: WaitKind): boolean => kind === 'page-lock' || kind === 'writeback' || kind === 'page-bit';

/** The function that a thread waits in; undefined: unknown. */
export function waitingFunction(names: readonly (string | undefined)[]): string | undefined {
  const first = names.find((name) => name !== undefined && !SCHEDULES.test(plain(name)));
  // A grace period is waited for by a completion.
  const period = COMPLETES.test(first ?? '') && names.find((name) => RCU.test(name ?? ''));
  return period || first;
}

/** Finds what a task waits for, from its stack and from the lock. */
export class WaitFinder {
  readonly #context: WaitContext;
  #futexes: readonly bigint[] | undefined;

  constructor(...of: ConstructorParameters<typeof WaitContext>) {
    this.#context = new WaitContext(...of);
    const { waiters, warnings } = this.#context;
    if (waiters.missing.length > 0)
      warnings.add(
        'unsupported-layout',
        `types of this kernel lack ${waiters.missing.map((name) => `struct ${name}`).join(', ')}: such waits are unknown`,
      );
  }

  /**
   * Whether a task in any state may wait for a mutex, rw_semaphore, semaphore or rt_mutex: its stack has to be unwound
   * to be sure.
   */
  isQueued(stack: SavedStack, { address }: Task, withFutexes: boolean): boolean {
    if (readOrNot(() => this.#context.pointerOf(address, 'pi_blocked_on')) ?? 0n) return true;
    const shapes = ['mutex', 'rw-semaphore', 'semaphore'] as const;
    return this.#context.waiters.onStack(stack, address, withFutexes ? [...shapes, 'futex'] : shapes) !== undefined;
  }

  /**
   * Whether the stack of a task in a dump has a return address of a wait for a futex: where the waiter was not found, the
   * stack has to be unwound to be sure.
   */
  mayBeInFutex(stack: SavedStack): boolean {
    const { kernel } = this.#context;
    if (kernel.facts.live) return false;
    this.#futexes ??= IN_FUTEX.flatMap((name) => kernel.symbol(name) ?? []);
    for (const word of wordsOf(stack))
      if (this.#futexes.some((start) => word > start && word - start < MAX_FUNCTION)) return true;
    return false;
  }

  /** @param names functions of the stack, innermost first */
  find(task: Task, stack: SavedStack, names: readonly (string | undefined)[]): Wait {
    const name = plain(waitingFunction(names) ?? '');
    const [, waitOf = queuedWait] = FAMILIES.find(([functions]) => functions.test(name)) ?? [];
    const wait = waitOf(this.#context, { task, stack, name, names });
    const [, byStack = wait.kind] =
      PAGE_WAITS.find(([functions]) => names.some((caller) => functions.test(plain(caller ?? '')))) ?? [];
    if (isPageWait(wait.kind) && wait.kind !== byStack)
      this.#context.contradict(`pid ${task.pid} waits for ${wait.kind} by its waiter, but for ${byStack} by its stack`);
    // Reads past the page cache wait for a bio that names the task, until about 5.14.
    const isIo = wait.kind === 'unknown' && names.some((caller) => caller?.startsWith('io_schedule'));
    return (isIo && ioWait(this.#context, stack, task.address)) || wait;
  }
}

/** The wait of a traced task that stopped. */
function tracedWait(context: WaitContext, { task }: Waiting): Wait {
  const view = new StructReader(context.kernel, 'task_struct', ['ptrace', 'parent']).read(task.address);
  if (view.number('ptrace') !== 0) return { kind: 'ptrace', owner: view.pointer('parent') };
  if (!context.kernel.facts.live) context.torn(`pid ${task.pid} stopped for a tracer, but is not traced`);
  return { kind: 'ptrace' };
}
