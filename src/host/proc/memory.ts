import { HostError } from '../../base/errors.js';
import type { MemoryCounters } from '../../records/machine-sample.js';
import { WHOLE } from '../../records/meminfo-lines.js';
import type { NotRead } from '../../records/named-memory.js';
import type { SmapsSums } from '../../records/processes.js';
import type { HostSource } from '../host-source.js';
import { readBalloon } from './balloon.js';
import { readZfsCache } from './named-memory.js';
import { mostMemory, whyImpossible } from './possible-amounts.js';

/** Error of counters: each CPU keeps a local delta of up to 125 pages per counter (mm/vmstat.c). */
const DRIFT_BYTES = 16 * 1024 * 1024;

/**
 * All memory (MemTotal), and what /proc/meminfo does not attribute of it, in bytes: not free, on no LRU list, not slab, page
 * tables or kernel stacks. Pages that drivers and sockets allocate from the buddy allocator for packets
 * have no counter of their own, so their total cannot exceed this (fs/proc/meminfo.c). Not included:
 * user-space pages lent to the network (sendfile, zerocopy).
 *
 * `unplaced` is an upper bound, widened by the error of counters. Throws `unreadable` without MemTotal.
 */
export function readUnplacedMemory(source: HostSource): UnplacedMemory {
  const text = source.readText('/proc/meminfo');
  const known = (name: string) => {
    const kib = new RegExp(`^${name}:\\s+(\\d{1,13}) kB$`, 'm').exec(text)?.[1];
    return kib === undefined ? null : Number(kib) * 1024;
  };
  const field = (name: string) => known(name) ?? 0;
  const total = field('MemTotal');
  if (total === 0) throw new HostError('unreadable', '/proc/meminfo has no MemTotal');
  const placed = PLACED.reduce((sum, name) => sum + field(name), 0);
  const unplaced = Math.min(total, Math.max(0, total - placed) + Math.max(DRIFT_BYTES, total / 200));
  return { total, available: known('MemAvailable'), unplaced };
}

interface UnplacedMemory {
  readonly total: number;
  /** MemAvailable; null: this kernel (before 3.14) or text does not have it. */
  readonly available: number | null;
  readonly unplaced: number;
}

const PLACED = ['MemFree', 'Active', 'Inactive', 'Unevictable', 'Slab', 'PageTables', 'KernelStack'] as const;

/** Maximum number of frags of an skb: net.core.max_skb_frags, 17 if not available (≤ 45). */
export function readMaxSkbFrags(source: HostSource): number {
  try {
    const limit = Number(source.readText('/proc/sys/net/core/max_skb_frags').trim());
    // The sysctl may be below the number of frags that the kernel still creates when it merges skbs.
    return Number.isInteger(limit) ? Math.min(45, Math.max(17, limit)) : 17;
  } catch (error) {
    if (error instanceof HostError) return 17;
    throw error;
  }
}

/** Like {@link knownPageSize}; 4096 if not available. */
export function readPageSize(source: HostSource): number {
  return knownPageSize(source) ?? 4096;
}

/** AT_PAGESZ of /proc/self/auxv (pairs of native words), a power of two; undefined: not available. */
export function knownPageSize(source: HostSource): number | undefined {
  const AT_PAGESZ = 6n;
  let size: number | undefined;
  try {
    source.readBytes('/proc/self/auxv', (bytes) => {
      for (let at = 0; at + 16 <= bytes.length; at += 16)
        if (bytes.readBigUInt64LE(at) === AT_PAGESZ) size = Number(bytes.readBigUInt64LE(at + 8));
    });
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
  }
  return size !== undefined && PAGE_SIZES.has(size) ? size : undefined;
}

const PAGE_SIZES: ReadonlySet<number> = new Set([4096, 16_384, 65_536]);

/** Why a file that counts pages is not used. */
export const NO_PAGE_SIZE = 'page size unknown';

/** /proc/meminfo has about 60 lines. */
const MAX_LINES = 1000;

/**
 * @param of this machine; a snapshot, whose files are whole; or text that others copied, where lines may be missing
 * @throws {HostError} `gone`, `denied`, `unreadable`: /proc/meminfo cannot be read, or lacks the amount of memory
 */
export function readHostCounts(source: HostSource, of: 'machine' | 'snapshot' | 'text' = 'machine'): MemoryCounters {
  const meminfo = new Map<string, number>();
  const damaged = new Map<string, string>();
  const printed = new Set<string>();
  let hugePages = Number.NaN;
  const text = source.readText('/proc/meminfo');
  // Read immediately after it: memory that moves in between is counted in neither, or in both.
  const zoneinfo = zoneText(source);
  for (const line of text.split('\n').slice(0, MAX_LINES)) {
    const parts = /^([\w()]{1,40}):(.*)$/.exec(line);
    if (!parts) continue;
    const [, name = '', rest = ''] = parts;
    const kib = /^\s*(\d{1,13}) kB\s*$/.exec(rest)?.[1];
    const plain = /^\s*(\d{1,13})\s*$/.exec(rest)?.[1];
    if (name === 'HugePages_Total') hugePages = Number(plain ?? Number.NaN);
    if (kib === undefined && plain === undefined) damaged.set(name, rest.trim().slice(0, 40));
    else printed.add(name);
    if (kib !== undefined) meminfo.set(name, Number(kib) * 1024);
  }
  if (of !== 'text') printed.add(WHOLE);
  const reason = damaged.get('MemTotal');
  const words = reason === undefined ? 'has no MemTotal' : `says “${reason}” of MemTotal`;
  if (!meminfo.has('MemTotal')) throw new HostError('unreadable', `/proc/meminfo ${words}`);
  setHugetlb(meminfo, damaged, hugePages);
  const known = knownPageSize(source);
  const pageSize = known ?? 4096;
  const hasPageSize = known !== undefined || of === 'machine';
  const vmstat = hasPageSize ? optional(source, '/proc/vmstat') : '';
  const pages = (name: string) => {
    const digits = new RegExp(`^${name} (\\d{1,13})$`, 'm').exec(vmstat)?.[1];
    return digits === undefined ? undefined : Number(digits) * pageSize;
  };
  const [boot, later] = [pages('nr_memmap_boot_pages'), pages('nr_memmap_pages')];
  const zones = zoneCounts(hasPageSize ? zoneinfo : { why: NO_PAGE_SIZE }, pageSize);
  return {
    release: optional(source, '/proc/sys/kernel/osrelease').trim(),
    pageSize,
    hasPageSize,
    meminfo,
    printed,
    damaged,
    ...zones,
    compressed: pages('nr_zspages'),
    memmap: boot === undefined || later === undefined ? undefined : { boot, later },
    ...otherCounters(source, { meminfo, damaged, present: zones.present }, vmstat, pageSize),
  };
}

/** Huge pages of all sizes, which contain the pool of the default size. Before 4.16 only that one is counted. */
function setHugetlb(meminfo: Map<string, number>, damaged: Map<string, string>, hugePages: number): void {
  const ofDefault = hugePages * (meminfo.get('Hugepagesize') ?? Number.NaN);
  const all = meminfo.get('Hugetlb');
  if (all !== undefined && all < ofDefault) {
    meminfo.delete('Hugetlb');
    damaged.set('Hugetlb', `${all / 1024} kB, less than HugePages_Total`);
  }
  if (all !== undefined || damaged.has('Hugetlb')) return;
  const broken = damaged.get('HugePages_Total') ?? damaged.get('Hugepagesize');
  if (broken !== undefined) damaged.set('Hugetlb', broken);
  else if (ofDefault >= 0) meminfo.set('Hugetlb', ofDefault);
}

type OtherCounters = Pick<MemoryCounters, 'balloon' | 'zfs' | 'unreadCounters'>;

/** Lines of /proc/meminfo that decide whether further sources are read: a malformed one is not zero. */
const DECIDING: readonly (readonly [name: string, NotRead['kind']])[] = [
  ['Zswap', 'zswap'],
  ['Hugetlb', 'huge-pages'],
  ['Balloon', 'balloon'],
];

/** Counters of a balloon and of ZFS, which are not in /proc/meminfo, or beside it. */
function otherCounters(
  source: HostSource,
  { meminfo, damaged, present }: Pick<MemoryCounters, 'meminfo' | 'damaged' | 'present'>,
  vmstat: string,
  pageSize: number,
): OtherCounters {
  const unreadCounters = DECIDING.flatMap(([name, kind]): NotRead[] => {
    const text = damaged.get(name);
    return text === undefined ? [] : [{ kind, code: 'unreadable', why: `/proc/meminfo says “${text}” of ${name}` }];
  });
  const attempt = <T>(kind: NotRead['kind'], read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      unreadCounters.push({ kind, code: error.code, why: error.message });
      return undefined;
    }
  };
  const balloon = damaged.has('Balloon')
    ? undefined
    : attempt('balloon', () => readBalloon(source, meminfo, vmstat, pageSize));
  const zfs = attempt('zfs-arc', () => {
    const cache = readZfsCache(source);
    const why = whyImpossible('ZFS ARC', cache?.size ?? 0, mostMemory({ meminfo, present }));
    if (why !== undefined) throw new HostError('unreadable', why);
    return cache;
  });
  return {
    ...(balloon ? { balloon } : {}),
    ...(zfs ? { zfs } : {}),
    ...(unreadCounters.length > 0 ? { unreadCounters } : {}),
  };
}

type ZoneCounts = Pick<MemoryCounters, 'present' | 'managed' | 'zoneFree' | 'onCpus' | 'whyNoZones' | 'cpus'>;

/** Text of /proc/zoneinfo; or why it cannot be read. */
function zoneText(source: HostSource): { readonly text: string } | { readonly why: string } {
  try {
    return { text: source.readText('/proc/zoneinfo') };
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return { why: error.message };
  }
}

function zoneCounts(zoneinfo: ReturnType<typeof zoneText>, pageSize: number): ZoneCounts {
  const none = { present: undefined, managed: undefined, zoneFree: undefined, onCpus: undefined };
  if ('why' in zoneinfo) return { ...none, cpus: 0, whyNoZones: zoneinfo.why };
  const { text } = zoneinfo;
  const sum = (pattern: RegExp) =>
    [...text.matchAll(pattern)].reduce((all, [, pages]) => all + Number(pages), 0) * pageSize;
  const [zones, presents] = [/^Node \d+, zone /gm, /^ +present +(\d{1,13})$/gm].map(
    (pattern) => [...text.matchAll(pattern)].length,
  );
  const present = sum(/^ +present +(\d{1,13})$/gm);
  // Since 3.8.
  const managed = / managed +\d/.test(text) ? sum(/^ +managed +(\d{1,13})$/gm) : undefined;
  if (present === 0 || (managed ?? 0) > present || presents !== zones)
    return { ...none, cpus: 0, whyNoZones: 'malformed /proc/zoneinfo (present pages)' };
  const cpus = new Set([...text.matchAll(/^ +cpu: +(\d{1,5})$/gm)].map(([, cpu]) => cpu)).size;
  const [lists, counts] = [/^ +cpu: /gm, /^ +count: +(\d{1,13})$/gm].map(
    (pattern) => [...text.matchAll(pattern)].length,
  );
  // A zone without memory counts as well: 0.
  const frees = /^ +pages free +(\d{1,13})$/gm;
  const zoneFree = [...text.matchAll(frees)].length === zones ? sum(frees) : undefined;
  const onCpus = lists === counts ? sum(/^ +count: +(\d{1,13})$/gm) : undefined;
  return { present, managed, zoneFree, onCpus, whyNoZones: undefined, cpus };
}

function optional(source: HostSource, path: string): string {
  try {
    return source.readText(path);
  } catch (error) {
    if (error instanceof HostError) return '';
    throw error;
  }
}

/**
 * Sums the values of lines `NAME:   123 kB` in /proc/PID/status or smaps, bytes; null if there is no
 * such line.
 *
 * Only a newline ends a line: a path in smaps may contain other characters that regular expressions
 * treat as line ends.
 *
 * @param text begins with a newline, so that each line does
 */
export function kilobytesOf(text: string, name: string): number | null {
  const key = `\n${name}:`;
  let sum: number | null = null;
  for (let at = text.indexOf(key); at >= 0; at = text.indexOf(key, at + key.length)) {
    const from = at + key.length;
    const end = text.indexOf('\n', from);
    const value = text.slice(from, end < 0 ? text.length : end);
    if (VALUE.test(value)) sum = (sum ?? 0) + Number.parseInt(value, 10) * 1024;
  }
  return sum;
}

const VALUE = /^[ \t]{1,24}\d{1,15} kB$/;

/** Undefined if the text lacks the fields that every kernel reports: the process has no memory. */
export function sumSmaps(text: string): SmapsSums | undefined {
  const lines = `\n${text}`;
  const of = (name: string) => kilobytesOf(lines, name);
  const [rss, pss, clean, dirty] = [of('Rss'), of('Pss'), of('Private_Clean'), of('Private_Dirty')] as const;
  if (rss === null || pss === null || clean === null || dirty === null) return undefined;
  const [own, shared] = [of('Private_Hugetlb'), of('Shared_Hugetlb')];
  return {
    rss,
    pss,
    uss: clean + dirty,
    anonymous: of('Anonymous'),
    pssAnonymous: of('Pss_Anon'),
    pssShmem: of('Pss_Shmem'),
    swap: of('Swap'),
    swapPss: of('SwapPss'),
    hugetlb: own === null || shared === null ? null : own + shared,
    locked: of('Locked'),
  };
}
