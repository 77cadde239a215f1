import { HostError } from '../../base/errors/host.js';
import type { MemoryCounters } from '../../records/memory-counters.js';
import type { HostSource } from '../host-source.js';
import { readPageSize } from './memory.js';

/** /proc/meminfo has some 60 lines. */
const MOST_LINES = 1000;

/**
 * @throws {HostError} `gone`, `denied`, `unreadable`: /proc/meminfo cannot be read, or does not say how much
 *   memory there is
 */
export function readHostCounts(source: HostSource): MemoryCounters {
  const meminfo = new Map<string, number>();
  const damaged = new Map<string, string>();
  const text = source.readText('/proc/meminfo');
  // At once after it: what moves between both is in neither, or in both.
  const zoneinfo = zoneText(source);
  for (const line of text.split('\n').slice(0, MOST_LINES)) {
    const parts = /^([\w()]{1,40}):(.*)$/.exec(line);
    if (!parts) continue;
    const [, name = '', rest = ''] = parts;
    const kib = /^ *(\d{1,13}) kB *$/.exec(rest)?.[1];
    if (kib !== undefined) meminfo.set(name, Number(kib) * 1024);
    else if (!/^ *\d{1,13} *$/.test(rest)) damaged.set(name, rest.trim().slice(0, 40));
  }
  for (const name of ['MemTotal', 'MemFree']) {
    if (meminfo.has(name)) continue;
    const said = damaged.get(name);
    const words = said === undefined ? `has no ${name}` : `says “${said}” of ${name}`;
    throw new HostError('unreadable', `/proc/meminfo ${words}`);
  }
  const pageSize = readPageSize(source);
  const vmstat = optional(source, '/proc/vmstat');
  const pages = (name: string) => {
    const digits = new RegExp(`^${name} (\\d{1,13})$`, 'm').exec(vmstat)?.[1];
    return digits === undefined ? undefined : Number(digits) * pageSize;
  };
  const [boot, later] = [pages('nr_memmap_boot_pages'), pages('nr_memmap_pages')];
  return {
    release: optional(source, '/proc/sys/kernel/osrelease').trim(),
    pageSize,
    meminfo,
    damaged,
    ...zoneCounts(zoneinfo, pageSize),
    compressed: pages('nr_zspages'),
    memmap: boot === undefined || later === undefined ? undefined : { boot, later },
  };
}

type ZoneCounts = Pick<
  MemoryCounters,
  'present' | 'managed' | 'zoneFree' | 'onCpus' | 'whyNoZones' | 'cpus'
>;

/** /proc/zoneinfo; or why it cannot be read. */
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
  const managed = sum(/^ +managed +(\d{1,13})$/gm);
  if (present === 0 || managed > present || presents !== zones)
    return { ...none, cpus: 0, whyNoZones: 'malformed /proc/zoneinfo (present pages)' };
  const cpus = new Set([...text.matchAll(/^ +cpu: +(\d{1,5})$/gm)].map(([, cpu]) => cpu)).size;
  const [lists, counts] = [/^ +cpu: /gm, /^ +count: +(\d{1,13})$/gm].map(
    (pattern) => [...text.matchAll(pattern)].length,
  );
  // A zone without memory counts it too: 0.
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
