import { escapeText } from '../../base/escape.js';
import type { LeakMethodsJson } from '../../contracts/leaks.js';
import { defaultMethod, type MethodRefusal, type OfferedMethod } from '../../leaks/readings/methods.js';
import type { AllocationType } from '../../leaks/recording.js';
import { wrap } from '../text/cut.js';
import { type Column, renderTable } from '../text/table.js';

/** Results and cost of a method. */
const WORDS: Readonly<Record<OfferedMethod['method'], { readonly reports: string; readonly costs: string }>> = {
  'page-owner-stacks': {
    reports: 'exact totals of pages by stack; no individual blocks',
    costs: 'one short file per reading',
  },
  'page-owner': {
    reports: 'every page block, with its stack',
    costs: 'about 300 bytes per allocation and reading: seconds on large machines',
  },
  allocinfo: {
    reports: 'exact totals by source line; no stacks, no individual blocks',
    costs: 'one short file per reading',
  },
  'slab-traces': {
    reports: 'callers, for caches that are tracked; no individual objects',
    costs: 'one file per cache and reading; tracking itself slows the kernel down',
  },
  vmallocinfo: { reports: 'every vmalloc area, with its caller', costs: 'one file per reading' },
  tracefs: {
    reports: 'every block allocated during the recording, with its stack; a sample under high load',
    costs: 'up to --budget of one CPU (2%)',
  },
  bpftrace: {
    reports: 'the same for pages, matched in the kernel: every block, no sampling',
    costs: 'a BPF program per event, up to 256 MiB of kernel memory, and about 160 MiB for bpftrace',
  },
};

const REFUSALS: Readonly<Record<MethodRefusal, string>> = {
  absent: 'not in this kernel',
  off: 'turned off',
  'not-mounted': 'file system not mounted',
  denied: 'permission denied: root only',
  threshold: 'count_threshold hides small stacks: write 0 to it',
  'not-installed': 'not installed',
  'not-readable': 'not readable',
};

/** How to enable each method. */
const TURNED_ON_BY: Readonly<Partial<Record<OfferedMethod['method'], string>>> = {
  'page-owner-stacks': 'boot with page_owner=on',
  'page-owner': 'boot with page_owner=on',
  allocinfo: 'sysctl vm.mem_profiling=1, or boot with it',
  'slab-traces': 'boot with slub_debug=U',
};

const MOUNTS: Readonly<Partial<Record<OfferedMethod['method'], string>>> = {
  'page-owner-stacks': 'mount -t debugfs none /sys/kernel/debug',
  'page-owner': 'mount -t debugfs none /sys/kernel/debug',
  'slab-traces': 'mount -t debugfs none /sys/kernel/debug',
  tracefs: 'mount -t tracefs none /sys/kernel/tracing',
  bpftrace: 'mount -t tracefs none /sys/kernel/tracing',
};

/** Returns whether a method is available, and otherwise how to enable it. */
export function refusalWords({ method, refusal, why }: OfferedMethod): string {
  if (refusal === null) return method === 'bpftrace' ? 'yes, with --engine bpftrace' : 'yes';
  const ask = refusal === 'off' ? TURNED_ON_BY[method] : refusal === 'not-mounted' ? MOUNTS[method] : undefined;
  const reason = refusal === 'not-readable' && why !== null ? escapeText(why) : REFUSALS[refusal];
  return `no: ${reason}${ask === undefined ? '' : ` (${ask})`}`;
}

/** Lists the methods of this kernel, best first; the first available one is the default. */
export function methodsText(type: AllocationType, methods: readonly OfferedMethod[], width: number | null): string {
  const columns: Column<OfferedMethod>[] = [
    { heading: 'METHOD', value: ({ method }) => method },
    { heading: 'AVAILABLE', value: refusalWords, shrinks: { keeps: 'words', least: 20 } },
    { heading: 'REPORTS', value: ({ method }) => WORDS[method].reports, shrinks: { keeps: 'words', least: 20 } },
    { heading: 'COST', value: ({ method }) => WORDS[method].costs, shrinks: { keeps: 'words', least: 20 }, spare: 1 },
  ];
  const usable = defaultMethod(methods);
  const summary = usable
    ? `Default method for --type ${type}: ${usable}.`
    : `No method for --type ${type} is available on this machine.`;
  return `${wrap(summary, width).join('\n')}\n\n${renderTable(columns, methods, width)}`;
}

/** `kdump-mem.leak-methods/1`. */
export function methodsJson(type: AllocationType, methods: readonly OfferedMethod[]): LeakMethodsJson {
  return {
    schema: 'kdump-mem.leak-methods/1',
    type,
    default: defaultMethod(methods) ?? null,
    methods: methods.map((method) => ({
      method: method.method,
      refusal: method.refusal,
      why: method.why,
      ...WORDS[method.method],
      message: refusalWords(method),
    })),
  };
}
