import type { StackOwner } from '../../account/stack-groups.js';
import type { NamedFrame, StackGroup, StacksAnswer } from '../../account/task-stacks.js';
import { hex } from '../../base/hex.js';
import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { formatCount } from '../text/size.js';

export interface TaskStacksTextOptions {
  /** Stacks. */
  readonly limit: number;
  /** Every thread by name, and addresses of functions. */
  readonly verbose?: boolean | undefined;
  /** Columns of the terminal; null: there is none, and nothing is broken. */
  readonly width: number | null;
}

/** Threads that are named without -v. */
const NAMED = 6;

/** The number of stacks, then each with the threads that share it. */
export function taskStacksText(
  { groups, tasks, complete }: StacksAnswer,
  { limit, verbose = false, width }: TaskStacksTextOptions,
): string {
  const wrapped = (text: string) => wrap(text, width).join('\n');
  const more = groups.length - limit;
  return [
    wrapped(
      `${complete ? '' : 'At least '}${formatCount(tasks)} ${plural(tasks, 'thread')}, ${formatCount(groups.length)} different ${plural(groups.length, 'stack')}.`,
    ),
    ...groups
      .slice(0, limit)
      .map((group) =>
        [wrapped(ownersText(group.tasks, verbose)), ...framesText(group, verbose)].join('\n'),
      ),
    ...(more > 0
      ? [wrapped(`${formatCount(more)} more ${plural(more, 'stack')}: --limit ${groups.length}.`)]
      : []),
  ].join('\n\n');
}

function plural(count: number, word: string): string {
  return count === 1 ? word : `${word}s`;
}

/** The threads of a stack, the first ones by name. */
export function ownersText(tasks: readonly StackOwner[], verbose: boolean): string {
  const shown = verbose ? tasks : tasks.slice(0, NAMED);
  const left = tasks.length - shown.length;
  const names = shown.map(ownerText).join(', ');
  const many = tasks.length === 1 ? '' : `${formatCount(tasks.length)} threads: `;
  return `${many}${names}${left > 0 ? ` and ${formatCount(left)} more` : ''}`;
}

function ownerText({ pid, process, comm, state, cpu, registers }: StackOwner): string {
  const of = pid === process ? '' : ` of ${process}`;
  const ran = cpu === undefined ? '' : ` on CPU ${cpu}`;
  const by = registers === 'qemu' ? ', registers from QEMU' : '';
  return `pid ${pid}${of} (${escapeText(comm)}) ${state}${ran}${by}`;
}

/** The functions of a stack, one a line, and how it ends. */
export function framesText(
  { frames, end, why }: Pick<StackGroup, 'frames' | 'end' | 'why'>,
  verbose: boolean,
): string[] {
  const lines = frames.flatMap((frame, index) => [
    ...(frame.interrupted && index > 0 ? ['    --- interrupted ---'] : []),
    `  ${frame.guess ? '?' : ' '} ${frameText(frame, verbose)}`,
  ]);
  if (end === 'user') lines.push('    (user space)');
  if (end === 'stopped') lines.push(`    (incomplete: ${escapeText(why ?? '')})`);
  return lines;
}

/** As the kernel's own messages have it: `tun_do_read+0x1fa [tun]`. */
function frameText({ address, symbol }: NamedFrame, verbose: boolean): string {
  const at = verbose ? `${hex(address)} ` : '';
  if (symbol === undefined) return hex(address);
  const module = symbol.module === undefined ? '' : ` [${escapeText(symbol.module)}]`;
  return `${at}${escapeText(symbol.name)}+0x${symbol.offset.toString(16)}${module}`;
}
