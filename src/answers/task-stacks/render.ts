import { escapeText } from '../../base/escape.js';
import { formatCount } from '../../base/size.js';
import { hex } from '../../base/util.js';
import type { NamedFrame, Stack, StackOwner, StacksAnswer } from '../../contracts/task-stacks.js';
import { wrap } from '../text/cut.js';

export interface TaskStacksTextOptions {
  /** Stacks. */
  readonly limit: number;
  /** Every thread by name, and addresses of functions. */
  readonly verbose?: boolean | undefined;
  /** Columns of the terminal; null: no terminal, and nothing is wrapped. */
  readonly width: number | null;
}

/** Threads that are named without -v. */
const NAMED = 6;

/** The number of stacks, then each with the threads that share it. */
export function taskStacksText(
  { stacks, tasks, complete }: StacksAnswer,
  { limit, verbose = false, width }: TaskStacksTextOptions,
): string {
  const wrapped = (text: string) => wrap(text, width).join('\n');
  const shown = stacks.slice(0, limit);
  const hidden = stacks.slice(limit);
  const threads = hidden.reduce((sum, { tasks: same }) => sum + same.length, 0);
  return [
    wrapped(
      tasks === 0
        ? complete
          ? 'No thread matches.'
          : 'No matching thread was found, but some threads could not be read.'
        : `${complete ? '' : 'At least '}${formatCount(tasks)} ${plural(tasks, 'thread')}, ${formatCount(stacks.length)} distinct ${plural(stacks.length, 'stack')}.`,
    ),
    ...shown.map((group) => [wrapped(ownersText(group.tasks, verbose)), ...framesText(group, verbose)].join('\n')),
    ...MEANINGS.flatMap(([name, words]) =>
      shown.some(({ frames }) => frames.some(({ symbol }) => symbol === name)) ? [wrapped(`${name}: ${words}`)] : [],
    ),
    ...(hidden.length > 0
      ? [
          wrapped(
            `${formatCount(hidden.length)} more ${plural(hidden.length, 'stack')}, of ${hidden.length === 1 ? ownersText(hidden[0]!.tasks, false) : `${formatCount(threads)} threads`}: --limit ${stacks.length} lists ${hidden.length === 1 ? 'it' : 'them'}.`,
          ),
        ]
      : []),
  ].join('\n\n');
}

/** Functions in which the stack of a CPU ends, and why. */
const MEANINGS: readonly (readonly [name: string, words: string])[] = [
  ['stop_this_cpu', 'another CPU stopped it, for a panic or a reboot.'],
  [
    'panic',
    'the kernel stopped the machine here. The task is not necessarily the cause: kdump-mem triage of this dump reports that.',
  ],
];

function plural(count: number, word: string): string {
  return count === 1 ? word : `${word}s`;
}

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
