import { escapeText } from '../../base/escape.js';
import { count, formatCount, inflect } from '../../base/size.js';
import { hex } from '../../base/util.js';
import type { NamedFrame, Stack, StackGroup, StackOwner, StacksAnswer } from '../../contracts/task-stacks.js';
import type { TaskState } from '../../records/waits.js';
import { type Block, nextBlock } from '../text/blocks.js';

export interface TaskStacksChoice {
  /** Stacks. */
  readonly limit: number;
  /** Every thread by name, and addresses of functions. */
  readonly verbose?: boolean | undefined;
  /** Only threads in some states are listed. */
  readonly isByState?: boolean;
  /** Options that name the kernel, for the next command. */
  readonly source: string;
}

/** Threads that are named without -v. */
const NAMED = 6;

/** The number of stacks, then each with the threads that share it. */
export function taskStacksBlocks(
  { stacks, tasks, complete }: StacksAnswer,
  { limit, verbose = false, isByState = false, source }: TaskStacksChoice,
): Block[] {
  const unread = verbose ? [] : stacks.filter(isUnread);
  const isMany = unread.length > 1;
  const idle = verbose ? [] : stacks.filter(isIdle);
  const isBeside = idle.length > 0 && idle.length + unread.length < stacks.length;
  const read = stacks.filter((group) => !(isMany && isUnread(group)) && !(isBeside && isIdle(group)));
  const shown = read.slice(0, limit);
  const none = complete ? 'No thread matches.' : 'No matching thread was found, but some threads could not be read.';
  const distinct = stacks.length - (isMany ? unread.length : 0);
  const all = `${processText(stacks)}${complete ? '' : 'at least '}${count(tasks, 'thread')}, ${count(distinct, 'distinct stack')}.`;
  const names = new Set(shown.flatMap(({ frames }) => frames.map(({ symbol }) => symbol)));
  return [
    tasks === 0 ? none : `${all.replace(/^a/, 'A')}${statesText(stacks, complete && !isByState)}`,
    // Before the stacks: the first one looks like the culprit.
    ...MEANINGS.flatMap(([name, words]) => (names.has(name) ? `${name}: ${words}` : [])),
    ...shown.map((group) => ({ heading: ownersText(group.tasks, verbose), lines: framesText(group, verbose) })),
    ...hiddenWords(read, limit),
    ...(isBeside ? [idleBlock(idle)] : []),
    ...(isMany ? [unreadBlock(unread, stacks.length)] : []),
    ...(stacks.some((group) => group.tasks.some(isBlocked)) ? [nextBlock(`kdump-mem blocked ${source}`)] : []),
  ];
}

/** States of a thread (fs/proc/array.c), in words. */
const STATES: Readonly<Record<TaskState, string>> = {
  R: 'running or ready to run',
  S: 'waiting for an event',
  D: 'in uninterruptible sleep',
  I: 'idle',
  T: 'stopped',
  t: 'stopped by a tracer',
  P: 'parked',
  Z: 'exited, but not waited for',
  X: 'dead',
};

const isBlocked = ({ state }: StackOwner) => state === 'D';

/** How many threads are in which state, blocked ones first, and what the letters behind their names mean. @param isAll no thread is missing */
function statesText(stacks: readonly StackGroup[], isAll: boolean): string {
  const counts = new Map<TaskState, number>();
  const all = stacks.flatMap(({ tasks }) => tasks);
  if (all.length < 2) return '';
  // The task of a CPU that has nothing to run is in state R.
  const tasks = all.filter(({ pid }) => pid !== 0);
  for (const { state } of tasks) counts.set(state, (counts.get(state) ?? 0) + 1);
  const states = [...counts].toSorted(
    ([a, many], [b, others]) => Number(b === 'D') - Number(a === 'D') || others - many,
  );
  const words = states.map(([state, tasks]) => `${formatCount(tasks)} ${STATES[state]} (${state})`);
  if (all.length > tasks.length) words.push(count(all.length - tasks.length, 'idle CPU'));
  const isNone = isAll && counts.size > 1 && !counts.has('D');
  return ` ${words.join(', ')}.${isNone ? ' None is in uninterruptible sleep (D).' : ''}`;
}

const isUnread = ({ frames, end }: StackGroup): boolean => frames.length === 0 && end === 'stopped';

/**
 * A kernel thread that waits for work: in the state that exists for it (TASK_IDLE, include/linux/sched.h) outside of a
 * work item, or in the loop of a thread of each CPU (kernel/smpboot.c).
 */
function isIdle({ tasks, frames, end }: StackGroup): boolean {
  if (end !== 'first' || tasks.some(({ cpu }) => cpu !== null)) return false;
  const symbols = frames.map(({ symbol }) => symbol);
  if (symbols[symbols.indexOf('schedule') + 1] === 'smpboot_thread_fn') return true;
  return tasks.every(({ state }) => state === 'I') && !symbols.includes('process_one_work');
}

function idleBlock(stacks: readonly StackGroup[]): Block {
  const tasks = stacks.flatMap((group) => group.tasks).toSorted((a, b) => a.pid - b.pid);
  return {
    heading: `Kernel threads that wait for work: ${ownersText(tasks, false)}`,
    lines: [`    (${count(stacks.length, 'stack')}: -v lists ${inflect(stacks.length, 'it', 'them')})`],
  };
}

/** `pid 177 (report-worker): ` if several threads are all of one process. */
function processText(stacks: readonly StackGroup[]): string {
  const tasks = stacks.flatMap((group) => group.tasks);
  const [first, second] = tasks;
  if (first === undefined || second === undefined || first.process === 0) return '';
  if (tasks.some(({ process }) => process !== first.process)) return '';
  const { comm } = tasks.find(({ pid }) => pid === first.process) ?? first;
  return `pid ${first.process} (${escapeText(comm)}): `;
}

/** Threads without a single frame: each has an address of its own in its reason. @param all stacks, for --limit */
function unreadBlock(stacks: readonly StackGroup[], all: number): Block {
  const tasks = stacks.flatMap((group) => group.tasks).toSorted((a, b) => a.pid - b.pid);
  return {
    heading: `No stack could be read of ${ownersText(tasks, false)}`,
    lines: [`    (the first: ${escapeText(stacks[0]?.why ?? '')}; -v --limit ${all} lists them)`],
  };
}

function hiddenWords(stacks: readonly StackGroup[], limit: number): string[] {
  const [first, ...others] = stacks.slice(limit);
  if (first === undefined) return [];
  const more = `${count(others.length + 1, 'more stack')}, of `;
  if (others.length === 0) return [`${more}${ownersText(first.tasks, false)}: --limit ${stacks.length} lists it.`];
  const threads = others.reduce((sum, { tasks }) => sum + tasks.length, first.tasks.length);
  return [`${more}${formatCount(threads)} threads: --limit ${stacks.length} lists them.`];
}

/** Functions in which the stack of a CPU ends, and why. */
const MEANINGS: readonly (readonly [name: string, words: string])[] = [
  ['sysrq_handle_crash', 'a user or a program requested this crash (SysRq-c): the kernel reported no fault.'],
  ['stop_this_cpu', 'another CPU stopped it, for a panic or a reboot.'],
  [
    'panic',
    'the kernel stopped the machine in this function. The task is not necessarily the cause, which kdump-mem triage of this dump reports.',
  ],
];

/** The threads of a stack, the first ones by name. */
export function ownersText(tasks: readonly StackOwner[], verbose: boolean): string {
  const shown = verbose ? tasks : tasks.slice(0, NAMED);
  const left = tasks.length - shown.length;
  const names = shown.map((owner) => ownerText(owner, verbose)).join(', ');
  const many = tasks.length === 1 ? '' : `${formatCount(tasks.length)} threads: `;
  return `${many}${names}${left > 0 ? ` and ${formatCount(left)} more` : ''}`;
}

function ownerText({ pid, process, comm, state, cpu, registers }: StackOwner, verbose: boolean): string {
  const of = pid === process ? '' : ` of ${process}`;
  const ran = cpu === null ? '' : ` on CPU ${cpu}`;
  const by = verbose && registers === 'qemu' ? ' (registers saved by QEMU)' : '';
  return `pid ${pid}${of} (${escapeText(comm)}) ${state}${ran}${by}`;
}

/** The functions of a stack, one a line, and how it ends. */
export function framesText({ frames, end, why }: Pick<Stack, 'frames' | 'end' | 'why'>, verbose: boolean): string[] {
  const lines = frames.flatMap((frame, index) => [
    ...(frame.interrupted && index > 0 ? ['    --- interrupted ---'] : []),
    `  ${frame.guess ? '?' : ' '} ${frameText(frame, verbose)}`,
  ]);
  if (end === 'user') lines.push('    (user space)');
  if (end === 'stopped') lines.push(`    (incomplete: ${escapeText(why ?? '')})`);
  return lines;
}

/** As the kernel's own messages have it: `tun_do_read+0x1fa [tun]`. */
function frameText({ address, symbol, offset, module }: NamedFrame, verbose: boolean): string {
  const at = verbose ? `${hex(address)} ` : '';
  if (symbol === null) return hex(address);
  const of = module === null ? '' : ` [${escapeText(module)}]`;
  return `${at}${escapeText(symbol)}+${hex(offset ?? 0)}${of}`;
}
