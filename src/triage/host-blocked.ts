import { grouped } from '../base/util.js';
import { listedPids, optionalText } from '../host/proc/process.js';
import type { Finding } from './finding.js';
import { found } from './host-memory.js';
import type { CommOf, ProcessStatus } from './host-processes.js';
import { type HostReader, isAbsent } from './host-reader.js';

/** One or two tasks that wait for a disk are normal. */
const SOME_BLOCKED = 3;
/** This many tasks in one function wait for each other, not for a disk. */
const MANY_BLOCKED = 8;
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

/** What tasks in state D wait for, by functions of their stacks. */
const CAUSES = {
  /** sb_start_write (include/linux/fs.h): fsfreeze, or a snapshot of LVM or of a hypervisor's agent. */
  frozen:
    /^(?:__sb_start_write|sb_start_write|mnt_want_write|mnt_want_write_file|sb_start_pagefault|file_start_write|kiocb_start_write|do_page_mkwrite)$/,
  fuse: /^(?:request_wait_answer|fuse_\w+|__fuse_\w+)$/,
  nfs: /^(?:rpc_wait_bit_killable|__rpc_execute|nfs\d?_\w+)$/,
} as const;
type Cause = keyof typeof CAUSES;

/** Waits of a writer of a frozen file system: the lock of sb_start_write is a percpu_rw_semaphore. */
const FROZEN_WAIT = /^(?:percpu_rwsem_wait|__percpu_down_read|percpu_down_read)/;
/** Without a function of its own in the stack: writes whose sb_start_write was inlined. */
const WRITES =
  /^(?:vfs_write|vfs_writev|do_iter_write|vfs_iter_write|vfs_fallocate|do_splice_direct|do_truncate|do_unlinkat|filename_create|path_openat|open_last_lookups)$/;
/** Waits for a lock of an inode or directory, or for a lookup of the same name. */
const OF_LOCKS =
  /^(?:d_alloc_parallel|d_wait_lookup|rwsem_down_\w+|__mutex_lock\w*|mutex_lock\w*|__wait_on_freeing_inode)/;
/** File system types of a cause; null: any. */
const TYPES: Readonly<Record<Cause, RegExp | null>> = { frozen: null, fuse: /^fuse/, nfs: /^nfs/ };

interface Mount {
  readonly id: string;
  readonly device: string;
  /** Untrusted, like the following ones. */
  readonly path: string;
  readonly type: string;
  readonly source: string;
}

interface Waiter {
  readonly pid: number;
  readonly symbol: string | null;
  readonly stack: readonly string[];
  readonly cause: Cause | null;
  readonly mount: Mount | undefined;
  readonly file: string | null;
}

/** Processes whose main thread is in state D, by what it waits for: one cause is one finding. */
export function* blocked(host: HostReader, all: readonly ProcessStatus[], comm: CommOf): Generator<Finding> {
  const waiters = all
    .filter(({ state }) => state === 'D')
    .slice(0, MAX_READ)
    .map(({ pid }) => waiterOf(host, pid));
  const keyOf = ({ cause, mount, symbol }: Waiter) => JSON.stringify([cause, mount?.device, cause ?? symbol]);
  const causes = new Map(waiters.filter(({ cause }) => cause !== null).map((one) => [keyOf(one), one]));
  const [only] = causes.size === 1 ? causes.values() : [];
  // A task that waits for a lock of the file system waits behind the one that holds it and waits for the server.
  const isBehind = ({ cause, symbol }: Waiter) => cause === null && symbol !== null && OF_LOCKS.test(symbol);
  const groups = grouped(
    waiters.toSorted((a, b) => Number(a.cause === null) - Number(b.cause === null)),
    (one) => keyOf(only && isBehind(one) ? only : one),
  );
  for (const group of [...groups.values()].toSorted((a, b) => b.length - a.length).slice(0, MAX_FINDINGS)) {
    const [first] = group;
    if (!first || group.length < SOME_BLOCKED) continue;
    const { pid, cause, mount, stack, symbol } = first;
    const server = cause === 'fuse' && mount ? fuseServer(host, mount) : undefined;
    const commands = new Set(group.map((one) => commandOf(host, one.pid)).filter((words) => words !== ''));
    const figures = {
      tasks: group.length,
      pid,
      comm: comm(pid),
      symbol: symbol ?? stack[0] ?? null,
      ...(stack.length > 0 ? { stack: stack.slice(0, MAX_FRAMES).join(' ← ') } : {}),
      ...(cause === null ? {} : { cause }),
      ...(cause !== null && group.some(isBehind) ? { behind: group.filter(isBehind).length } : {}),
      ...(mount ? { path: mount.path, fileSystem: mount.type, source: mount.source } : {}),
      ...(first.file === null ? {} : { file: first.file }),
      ...(server === undefined ? {} : { serverPid: server, serverComm: comm(server) }),
      ...(commands.size === 0 ? {} : { commands: [...commands].slice(0, MAX_COMMANDS).join('; ') }),
    };
    const severity = group.length >= MANY_BLOCKED ? 'warning' : 'note';
    yield found('blocked-tasks', severity, figures, 'blocked -v');
  }
}

function waiterOf(host: HostReader, pid: number): Waiter {
  const symbol = placeOf(optionalText(host.source, `/proc/${pid}/wchan`).trim());
  const stack = stackOf(host, pid);
  const functions = symbol === null ? stack : [symbol, ...stack];
  const cause = causeOf(functions);
  const mounts = cause === null ? [] : mountsOf(optionalText(host.source, `/proc/${pid}/mountinfo`));
  const open = openFile(host, pid);
  const own = mounts.find(({ id }) => id === open?.mountId);
  const isOfType = ({ type }: Mount) => cause !== null && (TYPES[cause]?.test(type) ?? false);
  const candidates = mounts.filter(isOfType);
  // Without a descriptor, a path that is unknown: the only mount of that type.
  const only = new Set(candidates.map(({ device }) => device)).size === 1 ? candidates[0] : undefined;
  const mount = own && (cause === 'frozen' || isOfType(own)) ? own : only;
  return { pid, symbol, stack, cause, mount, file: mount && mount === own ? (open?.path ?? null) : null };
}

/** Null: a lock, a device, or unknown. */
function causeOf(functions: readonly string[]): Cause | null {
  const any = (names: RegExp) => functions.some((name) => names.test(name));
  if (any(CAUSES.fuse)) return 'fuse';
  if (any(CAUSES.nfs)) return 'nfs';
  return any(FROZEN_WAIT) && (any(CAUSES.frozen) || any(WRITES)) ? 'frozen' : null;
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

/** Mounts by mount id (Documentation/filesystems/proc.rst, 3.5); `\040` and the like are decoded. */
function mountsOf(mountinfo: string): Mount[] {
  const decoded = (text: string) =>
    text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
  const form = /^(\d{1,10}) \d+ (\d{1,5}:\d{1,10}) \S+ (\S+) .* - (\S+) (\S+) /gm;
  return [...mountinfo.matchAll(form)].map(([, id = '', device = '', path = '', type = '', source = '']) => {
    return { id, device, path: decoded(path), type, source: decoded(source) };
  });
}

/** System calls whose first argument is a descriptor: read, write, …, fsync (asm/unistd_64.h; asm-generic/unistd.h). */
const OF_DESCRIPTOR: Readonly<Record<string, ReadonlySet<number>>> = {
  x64: new Set([
    0, 1, 5, 8, 16, 17, 18, 19, 20, 40, 73, 74, 75, 77, 78, 91, 93, 187, 217, 285, 295, 296, 306, 327, 328,
  ]),
  arm64: new Set([25, 29, 32, 44, 46, 47, 52, 55, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 80, 82, 83, 213, 267]),
};

/** The file of the system call that a process is in. Undefined: not readable, or it has no descriptor. */
function openFile(host: HostReader, pid: number): { readonly path: string; readonly mountId: string } | undefined {
  // `1 0x3 0x7f…` (proc_pid_syscall, fs/proc/base.c).
  const [, number, fd] = /^(\d{1,4}) 0x([0-9a-f]{1,8}) /.exec(optionalText(host.source, `/proc/${pid}/syscall`)) ?? [];
  if (number === undefined || !OF_DESCRIPTOR[process.arch]?.has(Number(number))) return undefined;
  const name = Number.parseInt(fd ?? '', 16);
  const info = optionalText(host.source, `/proc/${pid}/fdinfo/${name}`);
  const mountId = /^mnt_id:\s*(\d{1,10})$/m.exec(info)?.[1];
  try {
    return mountId === undefined ? undefined : { path: host.link(`/proc/${pid}/fd/${name}`), mountId };
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** Maximum number of descriptors that are read to find a FUSE server. */
const MAX_DESCRIPTORS = 20_000;

/**
 * The process that serves a FUSE connection: by fdinfo of /dev/fuse (6.17), otherwise the only one that has /dev/fuse
 * open.
 */
function fuseServer(host: HostReader, { device }: Mount): number | undefined {
  const connection = device.slice(device.indexOf(':') + 1);
  const servers: number[] = [];
  let left = MAX_DESCRIPTORS;
  for (const pid of listedPids(host.source)) {
    try {
      for (const fd of host.source.list(`/proc/${pid}/fd`)) {
        if (left-- <= 0) return undefined;
        if (host.link(`/proc/${pid}/fd/${fd}`) !== '/dev/fuse') continue;
        const info = optionalText(host.source, `/proc/${pid}/fdinfo/${fd}`);
        const own = /^fuse_connection:\s*(\d{1,10})$/m.exec(info)?.[1];
        if (own === connection) return Number(pid);
        if (own === undefined) servers.push(Number(pid));
      }
    } catch (error) {
      // Without its descriptors it is unknown whether a process is the server.
      if (!isAbsent(error)) host.miss('processes', 'the server of a FUSE file system', error);
    }
  }
  const each = new Set(servers);
  return each.size === 1 ? servers[0] : undefined;
}

/** The command line of a process, cut; '' if it is not part of a snapshot. Untrusted. */
function commandOf(host: HostReader, pid: number): string {
  const words = optionalText(host.source, `/proc/${pid}/cmdline`).split('\0').filter(Boolean).join(' ');
  return words.length > MAX_COMMAND ? `${words.slice(0, MAX_COMMAND - 1)}…` : words;
}
