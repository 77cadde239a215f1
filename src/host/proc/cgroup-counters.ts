import { HostError, hostOrNull } from '../../base/errors.js';
import { MANY_DYING, type NamedMemory } from '../../records/named-memory.js';
import type { HostSource } from '../host-source.js';
import { optionalText } from './process.js';

const ROOT = '/sys/fs/cgroup';
/** Maximum number of cgroups to read: a machine with 500 pods has about 3,000. */
const MAX_CGROUPS = 5000;
/** Maximum number of cgroups to count. */
const MAX_COUNTED = 50_000;
const MAX_DEPTH = 32;

/** Whether a name in a cgroup is that of a file: these begin with the name of a controller. */
export function isCgroupFile(name: string): boolean {
  return /^(?:cgroup|memory|cpu|cpuacct|cpuset|io|blkio|pids|hugetlb|misc|rdma|irq|devices|freezer|net_cls|net_prio|perf_event|dmem)\.[a-z0-9_.]+$|^(?:tasks|notify_on_release|release_agent)$/i.test(
    name,
  );
}

/** A child that has this share of its parent's is named in place of the parent. */
const MOST = 0.5;

/**
 * Removed memory cgroups that memory still keeps: nr_dying_subsys_memory of cgroup.stat (since 6.14) or
 * nr_dying_descendants, which also counts cgroups of other controllers (kernel/cgroup/cgroup.c, version 2). Version 1
 * has num_cgroups of /proc/cgroups, which includes them. Named is the innermost cgroup that has most of them.
 *
 * @throws {HostError} the counter is malformed
 */
export function dyingCgroups(source: HostSource): NamedMemory[] {
  const count = dyingIn(source, ROOT);
  if (count === undefined) return dyingOfV1(source);
  if (count.dying < MANY_DYING) return [];
  let [folder, own] = [ROOT, count];
  for (let depth = 0, left = MAX_CGROUPS; depth < MAX_DEPTH && left > 0; depth++) {
    const names = hostOrNull(() => source.list(folder)) ?? [];
    const children = names.slice(0, left).flatMap((name) => {
      const inside = name.includes('.stat') ? undefined : dyingIn(source, `${folder}/${name}`);
      return inside === undefined ? [] : [{ folder: `${folder}/${name}`, own: inside }];
    });
    left -= names.length;
    const [most] = children.toSorted((a, b) => b.own.dying - a.own.dying);
    if (!most || most.own.dying < MOST * count.dying) break;
    [folder, own] = [most.folder, most.own];
  }
  const figures = {
    dying: count.dying,
    dyingInside: own.dying,
    cgroups: own.present,
    isOfMemory: Number(count.isOfMemory),
  };
  const name = folder.slice(ROOT.length) || '/';
  return [{ kind: 'dying-cgroups', name, category: null, bytes: null, source: `${ROOT}/cgroup.stat`, figures }];
}

interface Dying {
  readonly dying: number;
  /** Descendants that exist. */
  readonly present: number | null;
  readonly isOfMemory: boolean;
}

/** Undefined: no cgroup of version 2. */
function dyingIn(source: HostSource, folder: string): Dying | undefined {
  const path = `${folder}/cgroup.stat`;
  const text = hostOrNull(() => source.readText(path));
  if (text === null) return undefined;
  const figure = (name: string) => {
    const digits = new RegExp(`^${name} (\\d{1,12})$`, 'm').exec(text)?.[1];
    return digits === undefined ? null : Number(digits);
  };
  const [ofMemory, all] = [figure('nr_dying_subsys_memory'), figure('nr_dying_descendants')];
  const dying = ofMemory ?? all;
  if (dying === null) throw new HostError('unreadable', `malformed ${path}`);
  const present = ofMemory === null ? figure('nr_descendants') : figure('nr_subsys_memory');
  return { dying, present, isOfMemory: ofMemory !== null };
}

/** Hierarchy, number of cgroups and whether it is enabled stand behind the name. */
const OF_MEMORY = /^memory\t\d+\t(\d{1,9})\t1$/m;

function dyingOfV1(source: HostSource): NamedMemory[] {
  const all = OF_MEMORY.exec(optionalText(source, '/proc/cgroups'))?.[1];
  if (all === undefined || Number(all) < MANY_DYING) return [];
  const present = source.lacksCgroups ? undefined : countBelow(source, `${ROOT}/memory`);
  if (present === undefined)
    throw new HostError('gone', `/proc/cgroups counts ${all} cgroups, which were not all listed`);
  const dying = Number(all) - present;
  if (dying < MANY_DYING) return [];
  const figures = { dying, dyingInside: null, cgroups: present, isOfMemory: 1 };
  return [{ kind: 'dying-cgroups', name: '/', category: null, bytes: null, source: '/proc/cgroups', figures }];
}

/** Number of cgroups, the root included; undefined: too many, or some are unreadable. */
function countBelow(source: HostSource, root: string): number | undefined {
  const waiting = [root];
  let count = 0;
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    const at = folder;
    const isLeaf = at !== root && hostOrNull(() => source.subfolders?.(at) ?? null) === 0;
    const names = isLeaf ? [] : hostOrNull(() => source.list(at));
    // A file is no folder. Captures lack empty files, such as cgroup.procs of a cgroup without processes.
    if (names === null || !(isLeaf || names.some(isCgroupFile))) {
      if (at === root) return undefined;
      continue;
    }
    if (++count > MAX_COUNTED) return undefined;
    for (const name of names) if (!isCgroupFile(name)) waiting.push(`${at}/${name}`);
  }
  return count;
}

/**
 * Cgroups with at least so many bytes in zswap, without those of the cgroups in them, the largest first.
 *
 * @param onMissing called with the reason why cgroups may be missing
 */
export function zswapByCgroup(source: HostSource, leastBytes: number, onMissing: (why: string) => void): NamedMemory[] {
  const memories: NamedMemory[] = [];
  const waiting = [{ folder: ROOT, depth: 0 }];
  let left = MAX_CGROUPS;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { folder, depth } = next;
    if (left-- <= 0) {
      onMissing(`only ${MAX_CGROUPS} cgroups were searched for memory in zswap`);
      break;
    }
    const names = hostOrNull(() => source.list(folder)) ?? [];
    const children = names.flatMap((name) => {
      const bytes = name.includes('zswap') ? undefined : zswapIn(source, `${folder}/${name}`);
      return bytes === undefined ? [] : [{ folder: `${folder}/${name}`, bytes }];
    });
    const inside = children.reduce((sum, { bytes }) => sum + bytes, 0);
    const own = Math.max(0, (zswapIn(source, folder) ?? 0) - inside);
    if (own >= leastBytes && depth > 0)
      memories.push({
        kind: 'zswap',
        name: folder.slice(ROOT.length),
        category: null,
        bytes: own,
        source: `${folder}/memory.zswap.current`,
        figures: {},
      });
    if (depth < MAX_DEPTH)
      for (const child of children)
        if (child.bytes >= leastBytes) waiting.push({ folder: child.folder, depth: depth + 1 });
  }
  return memories.toSorted((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0));
}

/** Undefined: no such cgroup, or a kernel before 5.19. */
function zswapIn(source: HostSource, folder: string): number | undefined {
  const text = hostOrNull(() => source.readText(`${folder}/memory.zswap.current`));
  return text !== null && /^\d{1,18}\s*$/.test(text) ? Number(text) : undefined;
}
