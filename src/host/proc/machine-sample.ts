import { HostError, type HostErrorCode } from '../../base/errors.js';
import type { Origin, Pressure, PressureLine } from '../../contracts/common.js';
import type { MachineSample } from '../../contracts/growth.js';
import type { CgroupMemory } from '../../records/cgroups.js';
import type { HostSource } from '../host-source.js';
import { optionalText } from './process.js';

/** @throws {HostError} without /proc/uptime: rates need a clock that cannot be set */
export function readMachine(source: HostSource, at: Date): MachineSample {
  const { uptimeSeconds, ...boot } = bootOf(source);
  if (uptimeSeconds === null) throw new HostError('unreadable', 'malformed /proc/uptime');
  const meminfo = optionalText(source, '/proc/meminfo');
  const bytes = (name: string): number | null => {
    const kib = new RegExp(`^${name}:\\s+(\\d{1,13}) kB$`, 'm').exec(meminfo)?.[1];
    return kib === undefined ? null : Number(kib) * 1024;
  };
  const pressure = readMachinePressure(source);
  return {
    ...boot,
    at: at.toISOString(),
    uptimeSeconds,
    memTotalBytes: bytes('MemTotal'),
    // Since 3.14.
    memAvailableBytes: bytes('MemAvailable'),
    swapTotalBytes: bytes('SwapTotal'),
    swapFreeBytes: bytes('SwapFree'),
    pressure: 'pressure' in pressure ? pressure.pressure : null,
    noPressure: 'why' in pressure ? pressure.why : null,
    noPressureCode: 'why' in pressure ? pressure.code : null,
  };
}

/** Seconds since boot, including suspend; null: /proc/uptime is not available. */
export function readUptime(source: HostSource): number | null {
  const text = /^(\d{1,15}(?:\.\d{1,9})?) /.exec(optionalText(source, '/proc/uptime'))?.[1];
  return text === undefined ? null : Number(text);
}

/** OOM kills since boot, those in cgroups included (OOM_KILL of mm/vmstat.c; since 4.13). */
export function oomKillsIn(vmstat: string): number | undefined {
  const kills = /^oom_kill (\d{1,15})$/m.exec(vmstat)?.[1];
  return kills === undefined ? undefined : Number(kills);
}

function bootOf(source: HostSource): Pick<Origin, 'host' | 'bootId' | 'uptimeSeconds'> {
  const line = (path: string) => optionalText(source, path).trim() || null;
  return {
    host: line('/proc/sys/kernel/hostname'),
    bootId: line('/proc/sys/kernel/random/boot_id'),
    uptimeSeconds: readUptime(source),
  };
}

/** @param at capture time, null if unknown */
export function hostOrigin(source: HostSource, at: Origin['at']): Origin {
  const oomKills = oomKillsIn(optionalText(source, '/proc/vmstat'));
  return { at, ...bootOf(source), ...(oomKills === undefined ? {} : { oomKills }) };
}

/** Mount points of cgroup v2, alone and next to version 1 (systemd's CGROUP_INTERFACE). */
const CGROUP_ROOTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];

/** Reads /proc/pressure/memory, or returns why it is missing: a kernel without CONFIG_PSI, or booted with psi=0. */
export function readMachinePressure(
  source: HostSource,
): { readonly pressure: Pressure } | { readonly code: HostErrorCode; readonly why: string } {
  const path = '/proc/pressure/memory';
  try {
    const pressure = parsePressure(source.readText(path));
    return pressure ? { pressure } : { code: 'unreadable', why: `malformed ${path}` };
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return { code: error.code, why: error.message };
  }
}

/** memory.pressure of a cgroup; null: not available, as in version 1. */
export function readCgroupPressure(source: HostSource, path: string): Pressure | null {
  // A cgroup outside of our cgroup namespace has a path that leads elsewhere.
  if (!path.startsWith('/') || path.split('/').includes('..')) return null;
  for (const root of CGROUP_ROOTS) {
    try {
      return parsePressure(source.readText(`${root}${path === '/' ? '' : path}/memory.pressure`));
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
    }
  }
  return null;
}

/** Null: malformed. */
export function parsePressure(text: string): Pressure | null {
  const [some, full] = ['some', 'full'].map((name) => lineOf(text, name));
  return some && full ? { some, full } : null;
}

function lineOf(text: string, name: string): PressureLine | null {
  const figure = String.raw`(\d{1,3}\.\d{2})`;
  const line = new RegExp(`^${name} avg10=${figure} avg60=${figure} avg300=${figure} total=(\\d{1,15})$`, 'm').exec(
    text,
  );
  if (!line) return null;
  const [avg10 = 0, avg60 = 0, avg300 = 0, totalMicroseconds = 0] = line.slice(1).map(Number);
  return { avg10, avg60, avg300, totalMicroseconds };
}

const V2 = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'] as const;
const V1 = '/sys/fs/cgroup/memory';
/** cgroup v1 stores PAGE_COUNTER_MAX if there is no limit. Bytes. */
const UNLIMITED = 2 ** 60;

/** Reads a cgroup by the path of its processes. Null: it has no memory controller here, or is not visible. */
export function readCgroupMemory(source: HostSource, path: string): CgroupMemory | null {
  // A cgroup outside of our cgroup namespace has a path that leads elsewhere.
  if (!path.startsWith('/') || path.split('/').includes('..')) return null;
  const text = (file: string) => optionalText(source, file);
  const own = path === '/' ? '' : path;
  for (const root of V2) {
    const current = figureOf(text(`${root}${own}/memory.current`));
    if (current === null) continue;
    const stat = lines(text(`${root}${own}/memory.stat`));
    const events = lines(text(`${root}${own}/memory.events`));
    return {
      current,
      peak: figureOf(text(`${root}${own}/memory.peak`)),
      ...smallestLimit(own, (at) => text(`${root}${at}/memory.max`)),
      high: figureOf(text(`${root}${own}/memory.high`)),
      anonymous: stat('anon'),
      file: stat('file'),
      shmem: stat('shmem'),
      kernel: stat('kernel'),
      slab: stat('slab'),
      sock: stat('sock'),
      sockThrottled: stat('sock_throttled'),
      activeFile: stat('active_file'),
      inactiveFile: stat('inactive_file'),
      reclaimable: sum(stat('inactive_file'), stat('active_file'), stat('slab_reclaimable')),
      highEvents: events('high'),
      maxEvents: events('max'),
      oomKills: events('oom_kill'),
      pressure: parsePressure(text(`${root}${own}/memory.pressure`)),
    };
  }
  const current = figureOf(text(`${V1}${own}/memory.usage_in_bytes`));
  if (current === null) return null;
  const stat = lines(text(`${V1}${own}/memory.stat`));
  return {
    current,
    peak: figureOf(text(`${V1}${own}/memory.max_usage_in_bytes`)),
    ...smallestLimit(own, (at) => text(`${V1}${at}/memory.limit_in_bytes`)),
    high: null,
    anonymous: stat('total_rss'),
    file: stat('total_cache'),
    shmem: stat('total_shmem'),
    kernel: figureOf(text(`${V1}${own}/memory.kmem.usage_in_bytes`)),
    slab: null,
    // Only cgroups with a limit on TCP memory are counted (memcg_update_tcp_max, mm/memcontrol-v1.c).
    sock: null,
    sockThrottled: null,
    activeFile: stat('total_active_file'),
    inactiveFile: stat('total_inactive_file'),
    reclaimable: sum(stat('total_inactive_file'), stat('total_active_file')),
    highEvents: null,
    maxEvents: figureOf(text(`${V1}${own}/memory.failcnt`)),
    oomKills: lines(text(`${V1}${own}/memory.oom_control`))('oom_kill'),
    pressure: null,
  };
}

/**
 * The smallest limit on the way from a cgroup to the root.
 *
 * @param textAt the limit of a cgroup as text; '': unreadable
 */
function smallestLimit(own: string, textAt: (path: string) => string) {
  let [limit, limitOf]: [number | null, string | null] = [null, null];
  let limitKnown = true;
  for (let at = own; ; at = at.slice(0, at.lastIndexOf('/'))) {
    const text = textAt(at);
    const figure = figureOf(text);
    // The root of version 2 has no such file.
    if (figure === null && text.trim() !== 'max' && at !== '') limitKnown = false;
    if (figure !== null && figure < UNLIMITED && (limit === null || figure < limit))
      [limit, limitOf] = [figure, at || '/'];
    if (at === '') return { limit, limitKnown, limitOf };
  }
}

/** Null: no number, as `max`. */
function figureOf(text: string): number | null {
  const digits = /^(\d{1,19})\n?$/.exec(text)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** Looks up `name value` lines. */
function lines(text: string): (name: string) => number | null {
  const figures = new Map(
    [...text.matchAll(/^(\w{1,40}) (\d{1,19})$/gm)].map(([, name, value]) => [name, Number(value)]),
  );
  return (name) => figures.get(name) ?? null;
}

/** Null if a part is unknown. */
function sum(...parts: readonly (number | null)[]): number | null {
  return parts.includes(null) ? null : parts.reduce<number>((all, part) => all + (part ?? 0), 0);
}
