import { waitGroups } from '../account/host-blocked.js';
import { optionalText } from '../host/proc/process.js';
import { WaitCauseReader } from '../host/proc/wait-causes.js';
import type { WaitCause } from '../records/waits.js';
import { type Finding, found } from './finding.js';
import type { HostReader } from './host-reader.js';
import { THRESHOLDS } from './thresholds.js';

const MAX_FINDINGS = 10;
/** Functions that a finding shows of a stack. */
const MAX_FRAMES = 6;
/** Functions that are searched for what a task waits for. */
const MAX_SEARCHED = 32;
/** Command lines that a finding shows, and their length. */
const MAX_COMMANDS = 3;
const MAX_COMMAND = 60;
/** Processes in state D whose files are read. */
const MAX_READ = 1000;

interface Waiter {
  readonly pid: number;
  /** Null: the kernel does not show it. */
  readonly function: string | null;
  readonly stack: readonly string[];
  readonly cause: WaitCause | null;
}

/** Processes whose main thread is in state D, by what it waits for: one cause is one finding. */
export function* blocked(
  host: HostReader,
  all: readonly { readonly pid: number; readonly state: string }[],
  comm: (pid: number) => string | null,
): Generator<Finding> {
  const causes = new WaitCauseReader(host.source);
  const waiters = all
    .filter(({ state }) => state === 'D')
    .slice(0, MAX_READ)
    .map(({ pid }): Waiter => {
      const where = placeOf(optionalText(host.source, `/proc/${pid}/wchan`).trim());
      const stack = stackOf(host, pid);
      const functions = where === null ? stack : [where, ...stack];
      return { pid, function: where, stack, cause: causes.read({ pid, process: pid }, functions) };
    });
  const groups = waitGroups(waiters, (waiter) => `in ${waiter.function}`);
  for (const group of groups.toSorted((a, b) => b.waiters.length - a.waiters.length).slice(0, MAX_FINDINGS)) {
    const { cause, behind } = group;
    const [first] = group.waiters;
    const tasks = group.waiters.length;
    if (!first || tasks < THRESHOLDS['blocked-tasks'].note) continue;
    const { pid, stack } = first;
    const { path, fileSystem, source, file, server } = cause ?? {};
    const commands = new Set(
      group.waiters.map((waiter) => commandOf(host, waiter.pid)).filter((words) => words !== ''),
    );
    const known = {
      path,
      fileSystem,
      source,
      file,
      serverPid: server,
      serverComm: server == null ? null : comm(server),
    };
    const figures = {
      tasks,
      pid,
      comm: comm(pid),
      symbol: first.function ?? stack[0] ?? null,
      ...(stack.length > 0 ? { stack: stack.slice(0, MAX_FRAMES).join(' ← ') } : {}),
      ...(cause === null ? {} : { cause: cause.kind }),
      ...(behind > 0 ? { behind } : {}),
      ...Object.fromEntries(Object.entries(known).flatMap(([name, value]) => (value == null ? [] : [[name, value]]))),
      ...(commands.size === 0 ? {} : { commands: [...commands].slice(0, MAX_COMMANDS).join('; ') }),
    };
    const severity = tasks >= THRESHOLDS['blocked-tasks'].warning ? 'warning' : 'note';
    yield found('blocked-tasks', severity, figures, 'blocked -v');
  }
}

/** Functions of the main thread, innermost first; empty: not readable (root), or not part of a snapshot. */
function stackOf(host: HostReader, pid: number): string[] {
  // Lines such as `[<0>] rpc_wait_bit_killable+0x11/0x70 [sunrpc]` (proc_pid_stack, fs/proc/base.c).
  const text = optionalText(host.source, `/proc/${pid}/task/${pid}/stack`);
  return [...text.matchAll(/^\[<\w+>\] ([A-Za-z_][\w.]{0,63})\+/gm)]
    .map(([, symbol = '']) => symbol)
    .slice(0, MAX_SEARCHED);
}

/** Null: the kernel does not show it. */
function placeOf(wchan: string): string | null {
  return /^[A-Za-z_][\w.]{0,63}$/.test(wchan) ? wchan : null;
}

/** The command line of a process, cut; '' if it is not part of a snapshot. Untrusted. */
function commandOf(host: HostReader, pid: number): string {
  const words = optionalText(host.source, `/proc/${pid}/cmdline`).split('\0').filter(Boolean).join(' ');
  return words.length > MAX_COMMAND ? `${words.slice(0, MAX_COMMAND - 1)}…` : words;
}
