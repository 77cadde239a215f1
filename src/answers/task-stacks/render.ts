import type { NamedFrame, StackGroup, StackOwner, StacksAnswer } from '../../account/task-stacks.js';
import { escapeText } from '../../base/escape.js';
import { formatCount } from '../../base/size.js';
import { hex } from '../../base/util.js';
import { kernelJson } from '../kernel-json.js';
import { wrap } from '../text/cut.js';
import type { TaskStacksJson } from './schema.js';

export function taskStacksJson({ kernel, groups, tasks, complete, warnings }: StacksAnswer): TaskStacksJson {
  return {
    schema: 'kdump-mem.task-stacks/1',
    kernel: kernelJson(kernel),
    stacks: groups.map(groupJson),
    tasks,
    complete,
    warnings,
  };
}

function groupJson({ tasks, frames, end, why, stop }: StackGroup): TaskStacksJson['stacks'][number] {
  return {
    tasks: tasks.map(({ pid, process, comm, state, cpu, registers }) => ({
      pid,
      process,
      comm,
      state,
      cpu: cpu ?? null,
      registers: registers ?? null,
    })),
    frames: frames.map(frameJson),
    end,
    why: why ?? null,
    ...stopJson(stop),
  };
}

/** Code of `why`, for programs. */
export function stopJson(stop: StackGroup['stop']) {
  return { code: stop?.code ?? null, at: stop?.at === undefined ? null : hex(stop.at) };
}

/** A frame, as every answer with stacks has it. */
export function frameJson({
  address,
  symbol,
  interrupted,
  guess,
}: NamedFrame): TaskStacksJson['stacks'][number]['frames'][number] {
  return {
    address: hex(address),
    symbol: symbol?.name ?? null,
    offset: symbol?.offset ?? null,
    module: symbol?.module ?? null,
    interrupted,
    guess,
  };
}

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
  { groups, tasks, complete }: StacksAnswer,
  { limit, verbose = false, width }: TaskStacksTextOptions,
): string {
  const wrapped = (text: string) => wrap(text, width).join('\n');
  const hidden = groups.slice(limit);
  const threads = hidden.reduce((sum, { tasks: same }) => sum + same.length, 0);
  return [
    wrapped(
      tasks === 0
        ? complete
          ? 'No thread matches.'
          : 'No matching thread was found, but some threads could not be read.'
        : `${complete ? '' : 'At least '}${formatCount(tasks)} ${plural(tasks, 'thread')}, ${formatCount(groups.length)} distinct ${plural(groups.length, 'stack')}.`,
    ),
    ...groups
      .slice(0, limit)
      .map((group) => [wrapped(ownersText(group.tasks, verbose)), ...framesText(group, verbose)].join('\n')),
    ...MEANINGS.flatMap(([name, words]) =>
      groups.slice(0, limit).some(({ frames }) => frames.some(({ symbol }) => symbol?.name === name))
        ? [wrapped(`${name}: ${words}`)]
        : [],
    ),
    ...(hidden.length > 0
      ? [
          wrapped(
            `${formatCount(hidden.length)} more ${plural(hidden.length, 'stack')}, of ${hidden.length === 1 ? ownersText(hidden[0]!.tasks, false) : `${formatCount(threads)} threads`}: --limit ${groups.length} lists ${hidden.length === 1 ? 'it' : 'them'}.`,
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
  const ran = cpu === undefined ? '' : ` on CPU ${cpu}`;
  const by = verbose && registers === 'qemu' ? ' (registers saved by QEMU)' : '';
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
