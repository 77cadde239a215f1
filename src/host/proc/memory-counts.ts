import { HostError } from '../error.js';
import type { HostSource } from '../host-source.js';
import { readPageSize } from './memory.js';

/** What /proc counts of the machine's memory; bytes. A counter that this kernel lacks is not there. */
export interface HostCounts {
  readonly release: string;
  /** Bytes of a base page. */
  readonly pageSize: number;
  /** All that zones have, and of that what the buddy allocator got (/proc/zoneinfo). */
  readonly present: number;
  readonly managed: number;
  /** Free, in the lists of CPUs. */
  readonly onCpus: number;
  /** /proc/meminfo, by name. */
  readonly meminfo: ReadonlyMap<string, number>;
  /** Huge pages of all sizes, used or not (/sys/kernel/mm/hugepages is theirs; Hugetlb in meminfo). */
  readonly huge: number | undefined;
  /** zsmalloc's (/proc/vmstat, nr_zspages). */
  readonly compressed: number | undefined;
}

/**
 * @throws {HostError} `unreadable` if /proc/meminfo or /proc/zoneinfo cannot be read, or do not say how
 *   much memory there is
 */
export function readHostCounts(source: HostSource): HostCounts {
  const meminfo = new Map<string, number>();
  for (const [, name, kib] of source
    .readText('/proc/meminfo')
    .matchAll(/^([\w()]+): +(\d{1,13}) kB$/gm))
    meminfo.set(name ?? '', Number(kib) * 1024);
  const pageSize = readPageSize(source);
  const zoneinfo = source.readText('/proc/zoneinfo');
  const sum = (pattern: RegExp) =>
    [...zoneinfo.matchAll(pattern)].reduce((all, [, pages]) => all + Number(pages), 0) * pageSize;
  const present = sum(/^ +present +(\d{1,13})$/gm);
  const managed = sum(/^ +managed +(\d{1,13})$/gm);
  if (present === 0 || managed > present || !meminfo.has('MemFree')) {
    throw new HostError('unreadable', '/proc does not say how much memory there is');
  }
  const pages = /^nr_zspages (\d{1,13})$/m.exec(optional(source, '/proc/vmstat'))?.[1];
  return {
    release: optional(source, '/proc/sys/kernel/osrelease').trim(),
    ...{ pageSize, present, managed, meminfo },
    onCpus: sum(/^ +count: +(\d{1,13})$/gm),
    huge: meminfo.get('Hugetlb'),
    compressed: pages === undefined ? undefined : Number(pages) * pageSize,
  };
}

function optional(source: HostSource, path: string): string {
  try {
    return source.readText(path);
  } catch (error) {
    if (error instanceof HostError) return '';
    throw error;
  }
}
