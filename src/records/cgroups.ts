import type { Pressure } from '../contracts/common.js';

/** Cgroup, container and pod of a process. The text is chosen by its creators, and untrusted. */
export interface CgroupPlace {
  /** The path in the v2 hierarchy, or in the most informative one of v1. */
  readonly path: string;
  /** Container id: 64 hex digits, sometimes fewer; null: not in a container. */
  readonly container: string | null;
  /** The container runtime according to the path: `docker`, `containerd`, `crio`, `podman`, `lxc`, … */
  readonly runtime: string | null;
  /** Uid of the Kubernetes pod; null: not in a pod. */
  readonly pod: string | null;
}

/** The place of a process as fields of an answer. */
export function cgroupFields(place: CgroupPlace | null) {
  return { cgroup: place?.path ?? null, pod: place?.pod ?? null, container: place?.container ?? null };
}

/** Upper bound: /proc/PID/cgroup has less than 20 lines of at most 4 KiB each. */
const MAX_LINES = 64;

/**
 * Parses /proc/PID/cgroup: lines of `hierarchy:controllers:path` (cgroups(7)); v2 has `0::/path`. The path
 * may contain colons, but no newline (the kernel escapes them). If both versions are mounted, the line that
 * names a container is used, otherwise the deepest path. Returns null without a line.
 */
export function parseCgroups(text: string): CgroupPlace | null {
  const cached = knownTexts.get(text);
  if (cached !== undefined) return cached;
  const place = readCgroups(text);
  if (knownTexts.size >= MAX_KNOWN) knownTexts.clear();
  knownTexts.set(text, place);
  return place;
}

function readCgroups(text: string): CgroupPlace | null {
  let best: CgroupPlace | null = null;
  for (const line of text.split('\n').slice(0, MAX_LINES)) {
    const path = /^\d{1,9}:[^:]*:(\/.*)$/s.exec(line)?.[1];
    if (path === undefined) continue;
    const place = placeOf(path);
    if (!best || rank(place) > rank(best)) best = place;
  }
  return best;
}

/** Size of the cache of parsed paths: thousands of sockets and processes share few cgroups. */
const MAX_KNOWN = 1024;
const known = new Map<string, CgroupPlace>();
const knownTexts = new Map<string, CgroupPlace | null>();

/** Returns the container, pod and other facts in a cgroup path. */
export function placeOf(path: string): CgroupPlace {
  const place = known.get(path) ?? readPlace(path);
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(path, place);
  return place;
}

function readPlace(path: string): CgroupPlace {
  const pod = POD.exec(path)?.[1]?.replaceAll('_', '-') ?? null;
  for (const [pattern, runtime] of PATTERNS) {
    const match = pattern.exec(path);
    if (match) return { path, container: match[1] ?? null, runtime, pod };
  }
  return { path, container: null, runtime: null, pod };
}

function rank({ container, pod, path }: CgroupPlace): number {
  const depth = path === '/' ? 0 : Math.min(99, path.split('/').length);
  return (container ? 10_000 : 0) + (pod ? 1000 : 0) + depth;
}

/** `kubepods-burstable-pod<uid>.slice` (systemd driver, `_` for `-`) or `/pod<uid>/` (cgroupfs). */
const POD =
  /[/-]pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice|\/|$)/;

/**
 * The last container in the path: the innermost, if containers are nested. Anchored at the path's beginning:
 * otherwise a crafted cgroup name could take seconds to match.
 */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/^.*\/docker-([0-9a-f]{12,64})\.scope(?:\/|$)/s, 'docker'],
  [/^.*\/cri-containerd-([0-9a-f]{12,64})\.scope(?:\/|$)/s, 'containerd'],
  [/^.*\/crio-(?:conmon-)?([0-9a-f]{12,64})(?:\.scope)?(?:\/|$)/s, 'crio'],
  [/^.*\/libpod-(?:conmon-|payload-)?([0-9a-f]{12,64})(?:\.scope)?(?:\/|$)/s, 'podman'],
  [/^.*\/docker\/(?:.*\/)?([0-9a-f]{64})(?:\/|$)/s, 'docker'],
  [/^.*[/:]cri-containerd:([0-9a-f]{12,64})(?:\/|$)/s, 'containerd'],
  [/^.*\/lxc(?:\.payload)?[./]([A-Za-z0-9_.-]{1,64})(?:\/|$)/s, 'lxc'],
  [/^.*\/kubepods(?:\/.*)?\/([0-9a-f]{64})(?:\/|$)/s, 'kubernetes'],
  [/^.*\/([0-9a-f]{64})(?:\/|$)/s, 'unknown'],
];

/**
 * Memory of a cgroup as the kernel charges it, with that of its descendants. Bytes and counts; null: the kernel
 * does not report it (Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst).
 */
export interface CgroupMemory {
  readonly current: number;
  /** Since the cgroup was created, or the counter reset. */
  readonly peak: number | null;
  /** The smallest memory.max or memory.limit_in_bytes of the cgroup and those above; null: none has a limit. */
  readonly limit: number | null;
  /** Whether all of these limits were read; otherwise a smaller one may exist. */
  readonly limitKnown: boolean;
  /** The cgroup that has this limit. */
  readonly limitOf: string | null;
  /** memory.high of the cgroup; null: none. */
  readonly high: number | null;
  readonly anonymous: number | null;
  /** Page cache, which includes `shmem`. */
  readonly file: number | null;
  readonly shmem: number | null;
  readonly kernel: number | null;
  readonly slab: number | null;
  readonly sock: number | null;
  /** Times that socket memory was throttled (memory.stat `sock_throttled`, recent kernels). */
  readonly sockThrottled: number | null;
  /** Page cache on the active and on the inactive list; the first is the working set of files. */
  readonly activeFile: number | null;
  readonly inactiveFile: number | null;
  /** Page cache on the file lists, and reclaimable slab. */
  readonly reclaimable: number | null;
  /** Times that usage reached memory.high and memory.max (version 1: failcnt), and kills by the OOM killer. */
  readonly highEvents: number | null;
  readonly maxEvents: number | null;
  readonly oomKills: number | null;
  readonly pressure: Pressure | null;
}
