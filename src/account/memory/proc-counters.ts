import type { MemoryCounters } from '../../memory-counters.js';
import { DRAWERS, type DrawerName } from './drawers.js';

/** A drawer by lines of /proc/meminfo, with what counters have in common taken apart. */
interface Formula {
  /** Without these the drawer is not counted. */
  readonly plus?: readonly string[];
  /** The same, but a kernel that does not show it has none. */
  readonly maybe?: readonly string[];
  readonly minus?: readonly string[];
}

/** Which lines of /proc/meminfo a drawer is made of (fs/proc/meminfo.c). */
const FORMULAS: Readonly<Partial<Record<DrawerName, Formula>>> = {
  // What a confidential guest has not accepted yet counts as free (6.5).
  'free-buddy': { plus: ['MemFree'], minus: ['Unaccepted'] },
  'free-unaccepted': { maybe: ['Unaccepted'] },
  anonymous: { plus: ['AnonPages'] },
  shared: { plus: ['Shmem'] },
  'swap-cache': { plus: ['SwapCached'] },
  // Shared memory is in Cached.
  'page-cache': { plus: ['Cached'], maybe: ['Buffers'], minus: ['Shmem'] },
  hugetlb: { plus: ['Hugetlb'] },
  'slab-reclaimable': { plus: ['SReclaimable'] },
  'slab-unreclaimable': { plus: ['SUnreclaim'] },
  'page-tables': { plus: ['PageTables'], maybe: ['SecPageTables'] },
  'kernel-stacks': { plus: ['KernelStack'] },
  // Stacks lie in vmalloc's address space.
  vmalloc: { plus: ['VmallocUsed'], minus: ['KernelStack'] },
  percpu: { plus: ['Percpu'] },
  balloon: { maybe: ['Balloon'] },
  gpu: { maybe: ['GPUActive', 'GPUReclaim'] },
};

/** Bytes of a drawer, or why they cannot be had though there is a counter. */
export type ProcCounter = { readonly bytes: number } | { readonly why: string };

/** Of each drawer that /proc counts what it says; of others nothing. */
export function procCounters(counted: MemoryCounters): Map<DrawerName, ProcCounter> {
  const { meminfo, damaged, onCpus, compressed } = counted;
  const found = new Map<DrawerName, ProcCounter>();
  for (const drawer of DRAWERS) {
    const formula = FORMULAS[drawer];
    if (!formula) continue;
    const { plus = [], maybe = [], minus = [] } = formula;
    const broken = [...plus, ...maybe, ...minus].find((name) => damaged.has(name));
    if (broken !== undefined) {
      const why = `/proc/meminfo says “${damaged.get(broken)}” of ${broken}`;
      found.set(drawer, { why });
    } else if (plus.every((name) => meminfo.has(name))) {
      const sum = (names: readonly string[]) =>
        names.reduce((all, name) => all + (meminfo.get(name) ?? 0), 0);
      found.set(drawer, { bytes: sum([...plus, ...maybe]) - sum(minus) });
    }
  }
  if (onCpus !== undefined) found.set('free-cpu-lists', { bytes: onCpus });
  else found.set('free-cpu-lists', { why: counted.whyNoZones ?? 'zones do not tell of all CPUs' });
  if (compressed !== undefined) found.set('compressed', { bytes: compressed });
  return found;
}

/** By how much counters differ, all together; bytes. */
export function counterDrift(before: MemoryCounters, after: MemoryCounters): number {
  const later = procCounters(after);
  let bytes = 0;
  for (const [drawer, counter] of procCounters(before)) {
    const other = later.get(drawer);
    if ('bytes' in counter && other && 'bytes' in other)
      bytes += Math.abs(other.bytes - counter.bytes);
  }
  return bytes;
}
