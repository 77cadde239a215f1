import type { HostSource } from '../host-source.js';
import { attempted, deviceNumber, LOCAL, type Mounts, type SharedFile } from './shared-files.js';

/** Without a path: its mount is in no namespace. */
const UNMOUNTED = '(unmounted)';
/** A smaller part of Shmem without an owner is not searched for. Bytes. */
export const LEAST_BYTES = 64 * 2 ** 20;
/** A block device in /sys/class/bdi, by number. */
const BLOCK = /^[1-9]\d*:\d+$/;

/**
 * Tmpfs that were unmounted lazily (umount -l) while a process has a file or folder of them open, or as its working
 * folder: no mount namespace has them, and Shmem counts them.
 *
 * @param ownedBytes what is known of Shmem
 * @param namespaces mounts of all mount namespaces
 * @param isOver whether the time has run out
 */
export function detachedTmpfs(
  host: HostSource,
  pids: readonly string[],
  ownedBytes: number,
  namespaces: readonly Mounts[],
  isOver: () => boolean,
): SharedFile[] {
  const [, shmem] = /^Shmem:\s+(\d{1,13}) kB$/m.exec(attempted(() => host.readText('/proc/meminfo')) ?? '') ?? [];
  if (shmem === undefined || Number(shmem) * 1024 < ownedBytes + LEAST_BYTES) return [];
  const devices = new Set(namespaces.flatMap((each) => [...each.values()].map(({ device }) => device)));
  const ids = new Set(namespaces.flatMap((each) => [...each.keys()]));
  const foreign = foreignFileSystems(host);
  // An unmounted one of another machine or process might block.
  if (!foreign?.every((device) => devices.has(device))) return [];
  const found = new Map<string, SharedFile>();
  const take = (path: string, pid: string): void => {
    const use = attempted(() => host.tmpfs?.(path));
    const facts = use?.used ? attempted(() => host.file?.(path)) : undefined;
    const device = facts && deviceNumber(facts.device);
    if (!use?.used || device === undefined || devices.has(device) || found.has(device)) return;
    const limit = use.limit === null ? {} : { limit: use.limit };
    const name = `tmpfs ${UNMOUNTED}`;
    found.set(device, { kind: 'tmpfs', name, mount: UNMOUNTED, pid: Number(pid), bytes: use.used, ...limit });
  };
  for (const pid of pids) {
    // Nothing but its file system tells the mount of a working folder.
    if (foreign.length === 0) take(`/proc/${pid}/cwd`, pid);
    for (const fd of attempted(() => host.list(`/proc/${pid}/fd`)) ?? []) {
      if (isOver()) return [...found.values()];
      const path = `/proc/${pid}/fd/${fd}`;
      const link = attempted(() => host.readLink(path)) ?? '';
      if (!link.startsWith('/') || link.startsWith('/memfd:')) continue;
      const info = attempted(() => host.readText(`/proc/${pid}/fdinfo/${fd}`)) ?? '';
      const id = /^mnt_id:\s*(\d+)$/m.exec(info)?.[1];
      if (id !== undefined && !ids.has(id)) take(path, pid);
    }
  }
  return [...found.values()];
}

/**
 * Devices of the file systems that answer through another machine or process, mounted or not: each has its own
 * bdi (super_setup_bdi of fs/super.c: `0:52` for NFS, `0:52-fuseblk`, `cifs-1`), and tmpfs has none. Undefined: unknown.
 */
function foreignFileSystems(host: HostSource): readonly string[] | undefined {
  const names = attempted(() => host.list('/sys/class/bdi'));
  if (!names?.length) return undefined;
  return names.flatMap((name) => {
    if (BLOCK.test(name) || LOCAL.has(name.replace(/-.*$/, ''))) return [];
    return [/^0:\d+/.exec(name)?.[0] ?? name];
  });
}
