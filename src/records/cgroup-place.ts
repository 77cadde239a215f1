/** Where a process belongs. Text is what its makers chose: hostile. */
export interface CgroupPlace {
  /** The path in the v2 hierarchy, or in v1's most telling one. */
  readonly path: string;
  /** The container's id: 64 hex digits, sometimes fewer; null outside of one. */
  readonly container: string | null;
  /** What runs the container, as its path says: `docker`, `containerd`, `crio`, `podman`, `lxc`, … */
  readonly runtime: string | null;
  /** The Kubernetes pod's uid, null outside of one. */
  readonly pod: string | null;
}

/** /proc/PID/cgroup has under 20 lines of at most 4 KiB each. */
const MAX_LINES = 64;

/**
 * /proc/PID/cgroup: lines of `hierarchy:controllers:path` (cgroups(7)); v2's is `0::/path`. The path
 * may hold colons and is one line (the kernel escapes newlines). With both versions mounted, the
 * line that names a container wins, then the deepest path. Null when there is no line.
 */
export function parseCgroups(text: string): CgroupPlace | null {
  const told = knownTexts.get(text);
  if (told !== undefined) return told;
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

/** Thousands of sockets and processes live in a few cgroups: what was told of so many paths is kept. */
const MAX_KNOWN = 1024;
const known = new Map<string, CgroupPlace>();
const knownTexts = new Map<string, CgroupPlace | null>();

/** What a cgroup's path tells by itself. */
export function placeOf(path: string): CgroupPlace {
  const place = known.get(path) ?? readPlace(path);
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(path, place);
  return place;
}

function readPlace(path: string): CgroupPlace {
  const pod = POD.exec(path)?.[1]?.replaceAll('_', '-') ?? null;
  for (const [pattern, runtime] of PATTERNS) {
    const found = pattern.exec(path);
    if (found) return { path, container: found[1] ?? null, runtime, pod };
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
 * The last container in the path: the innermost, when one runs in another. Tried from the path's beginning alone:
 * who may make cgroups would have each look take seconds.
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
