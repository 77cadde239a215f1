import { escapeText } from '../../base/escape.js';
import { count, formatCount, inflect } from '../../base/size.js';
import { hex } from '../../base/util.js';
import type {
  BlockedAnswer,
  BlockedDevice,
  BlockedTask,
  BlockingLock,
  DeadlockCycle,
  LockedFile,
} from '../../contracts/blocked.js';
import type { WaitCause, WaitKind } from '../../records/waits.js';
import { type Content, html, raw, sentence } from '../html/html.js';
import { captureWords } from '../origin.js';
import { framesText } from '../task-stacks/document.js';
import { type Block, nextBlock } from '../text/blocks.js';
import { objectWords } from '../whatis/document.js';

export interface BlockedChoice {
  /** Waiting tasks that are named for each lock. */
  readonly limit: number;
  /** The answer includes futexes and tracers. */
  readonly all?: boolean | undefined;
  /** Stacks of owners and of waiters. */
  readonly verbose?: boolean | undefined;
  /** Options that name the dump; undefined: no next command. */
  readonly source?: string | undefined;
}

const KINDS: Record<WaitKind, string> = {
  mutex: 'mutex',
  'rw-semaphore': 'rw_semaphore',
  semaphore: 'semaphore',
  'percpu-rw-semaphore': 'percpu_rw_semaphore',
  completion: 'completion',
  'wait-queue': 'wait queue',
  'page-lock': 'page lock',
  writeback: 'page writeback',
  'page-bit': 'page flag',
  bit: 'bit',
  'rt-mutex': 'rt_mutex',
  futex: 'futex',
  io: 'block device',
  journal: 'journal',
  spinlock: 'spinlock',
  work: 'work item',
  rcu: 'RCU grace period',
  ptrace: 'tracer',
  'file-lock': 'file lock',
  unknown: 'unknown lock or event',
};

/** The number of waiting tasks and deadlocks, then the forest: each lock below the one that its owner waits for. */
export function blockedBlocks(
  answer: BlockedAnswer,
  { limit, all = false, verbose = false, source }: BlockedChoice,
): Block[] {
  const { kernel, captured, locks, cycles, blocked, tasks, complete, warnings } = answer;
  const least = complete ? '' : 'at least ';
  const proc = kernel === null ? [sourceWords(captured)] : [];
  if (locks.length === 0 && kernel === null) {
    const none = complete
      ? `None of ${formatCount(tasks)} threads is in uninterruptible sleep (state D), and no process waits for a file lock.`
      : `Unknown whether any thread is blocked: none of the ${formatCount(tasks)} that could be read is in uninterruptible sleep (see the warnings).`;
    return [[none, ...proc].join('\n')];
  }
  if (locks.length === 0) {
    const cpu = `${source === undefined ? 'stacks --cpu N' : `kdump-mem stacks --cpu N ${source}`} prints what CPU N was running`;
    const futexes = all ? '' : ' locks of programs (futexes) were not checked (--all checks them), and';
    const words = complete
      ? `No task is blocked in the kernel: none of ${formatCount(tasks)} threads is in uninterruptible sleep (state D) or waits for a kernel lock${all ? ', a futex or a tracer' : ''}. A hang can have other reasons:${futexes} a CPU that loops is not blocked (${cpu}).`
      : `Unknown whether any of the ${formatCount(tasks)} threads is blocked: ${warnings.length > 0 && warnings.every(({ code }) => code === 'unsupported-layout') ? 'some locks of this kernel are unsupported' : 'stacks could not be read'} (see the warnings).`;
    return !complete || all || source === undefined ? [words] : [words, nextBlock(`kdump-mem blocked --all ${source}`)];
  }
  const [first] = locks;
  const longest = first?.waiters[0]?.seconds ?? null;
  const head = `${least}${formatCount(blocked)} of ${formatCount(tasks)} threads ${inflect(blocked, 'is', 'are')} blocked, waiting for ${count(locks.length, 'lock or event', 'locks and events')}.`;
  const sentences = [
    ...cycles.map((cycle) => cycleWords(cycle, locks)),
    capital(head) +
      (first && longest !== null
        ? ` Longest wait: ${duration(longest)}, for ${lockWords(first)}${first.owner ? `, owned by ${taskWords(first.owner)}` : ''}.`
        : first?.waiters[0]
          ? ` First: ${taskWords(first.waiters[0])}${waitWords(first.waiters[0]).replace(/^ /, ', ')}, for ${lockWords(first)}.`
          : ''),
  ];
  const inCycle = new Set(cycles.flatMap((cycle) => cycle.locks));
  const starts = locks.toSorted((a, b) => Number(inCycle.has(b.id)) - Number(inCycle.has(a.id)));
  const trees: string[][] = [];
  for (const { lock, depth } of forestOf(starts, locks)) {
    if (depth === 0) trees.push([]);
    const indent = '  '.repeat(Math.min(depth, 20));
    trees.at(-1)?.push(...lockLines(lock, answer, { limit, verbose }).map((line) => `${indent}${line}`));
  }
  return [
    sentences.join('\n'),
    ...trees.map((lines) => ({ heading: '', lines })),
    // Whoever sees a wait may act on it.
    ...proc.map((words) => `${words}\nA wait of a few seconds can be normal: run the command again before you act.`),
  ];
}

/** What /proc cannot name: an answer from it is no all-clear for locks of the kernel. */
function sourceWords(captured: BlockedAnswer['captured']): string {
  return `Source: /proc${captured ? `, ${captureWords(captured)}` : ''}, which names only file locks and their owners. Of other locks it shows at most the function in which a task waits. If a dump of this moment exists, kdump-mem blocked --vmcore FILE names the others.`;
}

/**
 * Yields the trees that contain some locks: the root, then the locks whose owners wait for it, depth first. Each lock
 * is in one tree.
 *
 * @param locks all of the answer
 */
function* forestOf(
  starts: readonly BlockingLock[],
  locks: readonly BlockingLock[],
): Generator<{ readonly lock: BlockingLock; readonly depth: number }> {
  const below = new Map<number, BlockingLock[]>();
  for (const lock of locks)
    if (lock.waitsFor !== null) below.set(lock.waitsFor, [...(below.get(lock.waitsFor) ?? []), lock]);
  const yielded = new Set<number>();
  for (const start of starts) {
    if (yielded.has(start.id)) continue;
    const open = [{ lock: rootOf(start, locks), depth: 0 }];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (yielded.has(next.lock.id)) continue;
      yielded.add(next.lock.id);
      yield next;
      for (const lock of (below.get(next.lock.id) ?? []).toReversed()) open.push({ lock, depth: next.depth + 1 });
    }
  }
}

/** Maximum number of locks, of levels and of waiters per lock in a list of HTML. */
const [MAX_LOCKS, MAX_LEVELS, MAX_NAMED] = [100, 20, 6];

/** The trees that contain some locks, as nested lists. @param locks all of the answer */
export function forestHtml(starts: readonly BlockingLock[], locks: readonly BlockingLock[]): Content {
  const parts: Content[] = [];
  let [level, shown] = [0, 0];
  const close = (to: number) => {
    for (; level > to; level--) parts.push(raw('</li></ul>'));
  };
  for (const { lock, depth } of forestOf(starts, locks)) {
    if (++shown > MAX_LOCKS) continue;
    const at = Math.min(depth, MAX_LEVELS) + 1;
    close(at);
    if (level === at) parts.push(raw('</li>'));
    else parts.push(raw('<ul>'));
    level = at;
    const [first = '', ...others] = lockLines(
      lock,
      { locks, stacks: [], kernel: null },
      { limit: MAX_NAMED, verbose: false },
    );
    const more = others.map((line) => html`<br>${sentence(line.trim())}`);
    parts.push(html`<li>${sentence(first)}${more}`);
  }
  close(0);
  const left = shown - MAX_LOCKS;
  return [...parts, left > 0 ? html`<p>and ${formatCount(left)} more locks</p>` : undefined];
}

/** The lock whose owner waits for none, or any one of a cycle. */
function rootOf(lock: BlockingLock, locks: readonly BlockingLock[]): BlockingLock {
  const passed = new Set<number>();
  let at = lock;
  while (at.waitsFor !== null && !passed.has(at.id)) {
    passed.add(at.id);
    at = locks[at.waitsFor] ?? at;
  }
  return at;
}

function lockLines(
  lock: BlockingLock,
  { locks, stacks, kernel }: Pick<BlockedAnswer, 'locks' | 'stacks' | 'kernel'>,
  { limit, verbose }: { readonly limit: number; readonly verbose: boolean },
): string[] {
  const { kind, waiters, owner, waitsFor, candidates } = lock;
  const lines = [`${lockWords(lock)}: ${ownerWords(lock)}`];
  if (lock.device) lines.push(`  ${deviceWords(lock.device)}`);
  const on = waitsFor === null ? undefined : locks[waitsFor];
  if (owner && on) lines.push(`  owner waits for ${lockWords(on)}`);
  for (const { task, by } of candidates)
    lines.push(
      `  ${kind === 'rcu' || by === 'handle' ? 'waits for' : 'possible owner:'} ${taskWords(task)}${doing(task)} (${CANDIDATES[by]}${by === 'cpu' ? ` ${task.cpu}` : ''})`,
    );
  if (verbose && owner && !lock.file) lines.push(...stackLines(owner, stacks));
  const shown = waiters.slice(0, limit);
  const left = waiters.length - shown.length;
  const names = shown.map((task) => taskWords(task) + waitWords(task));
  const unnamed = lock.file?.unnamedWaiters ?? 0;
  const more = left > 0 ? ` and ${formatCount(left)} more` : '';
  if (unnamed > 0) lines.push(`  ${count(unnamed, 'waiter')} that the kernel does not record`);
  if (waiters.length > 0) lines.push(`  ${count(waiters.length, 'waiter')}: ${names.join(', ')}${more}`);
  if (verbose && lock.trace)
    for (const { symbol, offset, module } of lock.trace)
      lines.push(
        `    ${escapeText(symbol)}+0x${offset.toString(16)}${module === null ? '' : ` [${escapeText(module)}]`}`,
      );
  else if (verbose && waiters[0] && kernel) lines.push(...stackLines(waiters[0], stacks));
  return lines;
}

const CANDIDATES: Record<BlockingLock['candidates'][number]['by'], string> = {
  last: 'acquired it last',
  stack: 'its stack contains the address',
  cpu: 'no quiescent state of CPU',
  reader: 'switched out in a read-side critical section',
  handle: 'has an open handle of the transaction',
  descriptor: 'has the locked file open',
};

/** The file system, its device and the device’s requests. */
function deviceWords({ fileSystem, name, number, frozen, requests }: BlockedDevice): string {
  const device = `${name === null ? 'device' : escapeText(name)} (${number})`;
  const where = fileSystem === null ? device : `file system ${escapeText(fileSystem)} on ${device}`;
  const state = frozen ? `${where}, frozen` : where;
  if (requests === null) return state;
  const { outstanding, started, oldestSeconds, hardwareQueues: queues } = requests;
  if (outstanding === 0) return `${state}: no requests outstanding`;
  const parts = [
    `${count(outstanding, 'request')} outstanding`,
    ...(started === outstanding ? [] : [`${formatCount(started)} started`]),
    ...(oldestSeconds === null ? [] : [`oldest ${duration(oldestSeconds)}`]),
    `hardware ${inflect(queues.length, 'queue')} ${listWords(queues)}`,
  ];
  return `${state}: ${parts.join(', ')}`;
}

/** Maximum number of hardware queues named. */
const MAX_NAMED_QUEUES = 8;

function listWords(numbers: readonly number[]): string {
  const left = numbers.length - MAX_NAMED_QUEUES;
  return numbers.slice(0, MAX_NAMED_QUEUES).join(' ') + (left > 0 ? ` and ${left} more` : '');
}

function stackLines({ pid, stack: index }: BlockedTask, stacks: BlockedAnswer['stacks']): string[] {
  const stack = index === null ? undefined : stacks[index];
  if (stack === undefined) return [`  stack of pid ${pid}: unreadable`];
  return [`  stack of pid ${pid}:`, ...framesText(stack, false).map((line) => `  ${line}`)];
}

const WITHOUT_OWNER: Partial<Record<WaitKind, string>> = {
  io: 'waits for requests or a free tag',
  journal: 'waits for open handles',
};

/** What a grace period without known readers waits for, by the function that waits. */
function periodWords(where: string): string {
  if (where.includes('srcu')) return 'waits for readers of SRCU, which the kernel only counts';
  if (where.includes('barrier')) return 'waits for callbacks of RCU';
  if (/expedited|tasks/.test(where)) return 'kdump-mem does not read what holds it back';
  return 'no reader that holds it back was found';
}

function ownerWords(lock: BlockingLock): string {
  const { owner, ownerState, readers, kind, candidates, waiters, cause } = lock;
  if (cause?.kind === 'vfork') return 'waits until the child calls exec or exits';
  if (cause)
    return cause.kind === 'frozen'
      ? 'waits until it is thawed'
      : `its server does not answer${owner ? `: ${taskWords(owner)}, ${stateWords(owner)}` : ''}`;
  if (owner) return `${EVENTS.has(kind) ? 'waits for' : 'owner'} ${taskWords(owner)}, ${stateWords(owner)}`;
  switch (ownerState) {
    case 'readers':
      return `held by ${count(readers ?? 0, 'reader')}, which the kernel does not record`;
    case 'none':
      return kind === 'work' ? 'no worker runs it' : 'no owner';
    case 'not-a-task':
      return 'its owner is no task of this kernel (it exited?), so it is probably never released';
    case 'not-recorded':
      if (lock.file?.pid)
        return `locked by pid ${lock.file.pid}, which no longer has the file open (it exited, or passed the descriptor on)`;
      return kind === 'rcu'
        ? candidates.length > 0
          ? `${count(candidates.length, 'task holds', 'tasks hold')} it back`
          : periodWords(waiters[0]?.function ?? '')
        : (WITHOUT_OWNER[kind] ??
            (EVENTS.has(kind)
              ? 'the kernel does not record which task will signal it'
              : 'the kernel does not record its owner'));
    default:
      return 'owner unknown';
  }
}

/** Waits that another task, or an interrupt, ends: these have no owner. */
const EVENTS: ReadonlySet<WaitKind> = new Set([
  'completion',
  'wait-queue',
  'writeback',
  'page-bit',
  'bit',
  'work',
  'journal',
]);

function stateWords(task: BlockedTask): string {
  return task.cpu === null ? `state ${task.state}${doing(task)}` : `running on CPU ${task.cpu}`;
}

const doing = ({ function: where }: BlockedTask): string => (where === null ? '' : ` in ${escapeText(where)}`);

function cycleWords({ locks: ids, pids }: DeadlockCycle, locks: readonly BlockingLock[]): string {
  const steps = ids.flatMap((id, index) => {
    const next = locks[ids[(index + 1) % ids.length] ?? -1];
    const owner = locks[id]?.owner;
    return owner && next ? [`${taskWords(owner)} waits for ${lockWords(next)}`] : [];
  });
  return `Deadlock of ${count(pids.length, 'task')}: ${steps.join(', ')}.`;
}

/** A lock with its name, or the object that it is part of. */
function lockWords(
  lock: Pick<BlockingLock, 'kind' | 'address' | 'bit' | 'object' | 'waiters' | 'file' | 'cause'>,
): string {
  const { kind, address, bit, object, waiters } = lock;
  if (lock.file) return fileWords(lock.file);
  if (lock.cause) return causeWords(lock.cause);
  if (address === null) {
    const where = waiters[0]?.function ?? null;
    if (kind === 'rcu' && where?.includes('srcu')) return `SRCU grace period (in ${escapeText(where)})`;
    return where === null ? KINDS[kind] : `${KINDS[kind]} (in ${escapeText(where)})`;
  }
  const which = bit !== null && (kind === 'bit' || kind === 'page-bit') ? ` ${bit} of` : '';
  if (object?.kind === 'symbol') return `${KINDS[kind]}${which} ${objectWords(object)}`;
  const part = object === null ? '' : ` (${objectWords(object)})`;
  return `${KINDS[kind]}${which} ${hex(address)}${part}`;
}

function causeWords({ kind, path, source, file }: WaitCause): string {
  const at = path === null ? '' : ` ${escapeText(path)}`;
  const of = file === null ? '' : `, file ${escapeText(file)}`;
  if (kind === 'vfork') return 'a child of its own (vfork)';
  if (kind === 'frozen') return `frozen file system${at}${of}`;
  if (kind === 'fuse') return `FUSE file system${at}${of}`;
  return `NFS file system${at}${source === null ? '' : ` of ${escapeText(source)}`}${of}`;
}

function fileWords({ type, exclusive, path, device, inode, from, to }: LockedFile): string {
  const file = path === null ? `inode ${inode ?? 'unknown'} of ${device ?? 'no device'}` : escapeText(path);
  const bytes = from === 0 && to === null ? '' : `, bytes ${from} to ${to ?? 'the end'}`;
  return `file lock ${escapeText(type)} ${exclusive ? 'write' : 'read'} (${file}${bytes})`;
}

function taskWords({ pid, comm, nsPids }: BlockedTask): string {
  const inside = nsPids.length > 1 ? `, pid ${nsPids.at(-1)} in its pid namespace` : '';
  return `pid ${pid} (${escapeText(comm)}${inside})`;
}

const waitWords = ({ seconds, leastSeconds }: BlockedTask): string =>
  seconds !== null ? ` ${duration(seconds)}` : leastSeconds === null ? '' : ` at least ${duration(leastSeconds)}`;

function duration(seconds: number): string {
  return seconds < 10 ? `${seconds.toFixed(1)} s` : `${formatCount(Math.round(seconds))} s`;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
