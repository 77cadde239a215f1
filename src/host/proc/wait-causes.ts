import { arch } from 'node:process';
import { hostOrNull, isHostError } from '../../base/errors.js';
import type { WaitCause } from '../../records/waits.js';
import type { HostSource } from '../host-source.js';
import { listedPids, optionalText } from './process.js';

/** What tasks in state D wait for, by functions of their stacks. */
const CAUSES = {
  /** sb_start_write (include/linux/fs.h): fsfreeze, or a snapshot of LVM or of a hypervisor's agent. */
  frozen:
    /^(?:__sb_start_write|sb_start_write|mnt_want_write|mnt_want_write_file|sb_start_pagefault|file_start_write|kiocb_start_write|do_page_mkwrite)$/,
  fuse: /^(?:request_wait_answer|fuse_\w+|__fuse_\w+)$/,
  nfs: /^(?:rpc_wait_bit_killable|__rpc_execute|nfs\d?_\w+)$/,
  /** wait_for_vfork_done (kernel/fork.c), which the compiler inlines: nothing else in fork sleeps in state D. */
  vfork: /^(?:wait_for_vfork_done|kernel_clone|_do_fork|do_fork)$/,
} as const;
type Kind = WaitCause['kind'];

/** Waits of a writer of a frozen file system: the lock of sb_start_write is a percpu_rw_semaphore. */
const FROZEN_WAIT = /^(?:percpu_rwsem_wait|__percpu_down_read|percpu_down_read)/;
/** Without a function of its own in the stack: writes whose sb_start_write was inlined. */
const WRITES =
  /^(?:vfs_write|vfs_writev|do_iter_write|vfs_iter_write|vfs_fallocate|do_splice_direct|do_truncate|do_unlinkat|filename_create|path_openat|open_last_lookups)$/;
/** File system types of a cause; null: any. */
const TYPES: Readonly<Record<Kind, RegExp | null>> = { frozen: null, fuse: /^fuse/, nfs: /^nfs/, vfork: null };

/** Of a cause that has no file system. */
const UNMOUNTED = { device: null, path: null, fileSystem: null, source: null, file: null, server: null };

interface Mount {
  readonly id: string;
  readonly device: string;
  /** Untrusted, like the following ones. */
  readonly path: string;
  readonly type: string;
  readonly source: string;
}

/** Reads what threads in state D wait for, beyond a lock or a device. */
export class WaitCauseReader {
  readonly #source: HostSource;
  readonly #servers = new Map<string, number | null>();

  constructor(source: HostSource) {
    this.#source = source;
  }

  /** Null: unknown. @param functions in which the thread waits, innermost first */
  read(
    { pid, process }: { readonly pid: number; readonly process: number },
    functions: readonly string[],
  ): WaitCause | null {
    const source = this.#source;
    const kind = kindOf(functions);
    if (kind === null) return null;
    if (kind === 'vfork') return { kind, ...UNMOUNTED };
    const mounts = mountsOf(optionalText(source, `/proc/${process}/mountinfo`));
    const open = openFile(source, process, pid);
    const own = mounts.find(({ id }) => id === open?.mountId);
    const isOfType = ({ type }: Mount) => TYPES[kind]?.test(type) ?? false;
    const candidates = mounts.filter(isOfType);
    // The file of a system call with a path is unknown: then only one mount of that type can be meant.
    const only = new Set(candidates.map(({ device }) => device)).size === 1 ? candidates[0] : undefined;
    const mount = own && (kind === 'frozen' || isOfType(own)) ? own : only;
    return {
      kind,
      device: mount?.device ?? null,
      path: mount?.path ?? null,
      fileSystem: mount?.type ?? null,
      source: mount?.source ?? null,
      file: mount && mount === own ? (open?.path ?? null) : null,
      server: kind === 'fuse' && mount ? this.#serverOf(mount) : null,
    };
  }

  #serverOf(mount: Mount): number | null {
    const known = this.#servers.get(mount.device);
    if (known !== undefined) return known;
    const server = fuseServer(this.#source, mount);
    this.#servers.set(mount.device, server);
    return server;
  }
}

/** Null: a lock, a device, or unknown. */
function kindOf(functions: readonly string[]): Kind | null {
  const any = (names: RegExp) => functions.some((name) => names.test(name));
  if (any(CAUSES.fuse)) return 'fuse';
  if (any(CAUSES.nfs)) return 'nfs';
  if (CAUSES.vfork.test(functions[0] ?? '')) return 'vfork';
  return any(FROZEN_WAIT) && (any(CAUSES.frozen) || any(WRITES)) ? 'frozen' : null;
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
function openFile(
  source: HostSource,
  process: number,
  thread: number,
): { readonly path: string | null; readonly mountId: string } | undefined {
  // `1 0x3 0x7f…` (proc_pid_syscall, fs/proc/base.c).
  const [, number, fd] =
    /^(\d{1,4}) 0x([0-9a-f]{1,8}) /.exec(optionalText(source, `/proc/${process}/task/${thread}/syscall`)) ?? [];
  if (number === undefined || !OF_DESCRIPTOR[arch]?.has(Number(number))) return undefined;
  const name = Number.parseInt(fd ?? '', 16);
  const info = optionalText(source, `/proc/${process}/fdinfo/${name}`);
  const mountId = /^mnt_id:\s*(\d{1,10})$/m.exec(info)?.[1];
  if (mountId === undefined) return undefined;
  return { path: hostOrNull(() => source.readLink(`/proc/${process}/fd/${name}`)), mountId };
}

/** Maximum number of descriptors that are read to find a FUSE server. */
const MAX_DESCRIPTORS = 20_000;

/**
 * The process that serves a FUSE connection: by fdinfo of /dev/fuse (6.17), otherwise the only one that has /dev/fuse
 * open.
 */
function fuseServer(source: HostSource, { device }: Mount): number | null {
  const connection = device.slice(device.indexOf(':') + 1);
  const servers = new Set<number>();
  let left = MAX_DESCRIPTORS;
  for (const pid of listedPids(source)) {
    try {
      for (const fd of source.list(`/proc/${pid}/fd`)) {
        if (left-- <= 0) return null;
        if (hostOrNull(() => source.readLink(`/proc/${pid}/fd/${fd}`)) !== '/dev/fuse') continue;
        const info = optionalText(source, `/proc/${pid}/fdinfo/${fd}`);
        const own = /^fuse_connection:\s*(\d{1,10})$/m.exec(info)?.[1];
        if (own === connection) return Number(pid);
        if (own === undefined) servers.add(Number(pid));
      }
    } catch (error) {
      if (!isHostError(error)) throw error;
      // A process whose descriptors are not readable may be the server.
      if (error.code !== 'gone') servers.add(-1);
    }
  }
  const [only = -1] = servers;
  return servers.size === 1 && only > 0 ? only : null;
}
