import { type MethodRefusal, type OfferedMethod, takenMethod } from '../../leaks/offered-method.js';
import type { AllocationType } from '../../leaks/recording.js';
import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { type Column, renderTable } from '../text/table.js';
import type { LeakMethodsJson } from './methods-schema.js';

/** What a method tells, and what it costs. */
const WORDS: Readonly<
  Record<OfferedMethod['method'], { readonly tells: string; readonly costs: string }>
> = {
  'page-owner-stacks': {
    tells: 'stacks of all pages, exactly; no single blocks',
    costs: 'one short file for each reading',
  },
  'page-owner': {
    tells: 'stacks of all pages, exactly, and each block',
    costs: 'some 300 bytes for each allocation, for each reading: seconds on large machines',
  },
  allocinfo: {
    tells: 'lines of source, exactly; no stacks, no single blocks',
    costs: 'one short file for each reading',
  },
  'slab-traces': {
    tells: 'who allocated objects, of caches that are tracked; no single blocks',
    costs: 'a file for each cache, for each reading; tracking itself slows the kernel down',
  },
  vmallocinfo: {
    tells: 'the function that took each area, exactly',
    costs: 'one file for each reading',
  },
  tracefs: {
    tells: 'stacks of what is allocated meanwhile, and each block; a sample where there is much',
    costs: 'as much of one CPU as --budget allows (2%)',
  },
  bpftrace: {
    tells: 'the same of pages, paired in the kernel: each block, no sample',
    costs:
      'a program of the kernel’s for each event, up to 256 MiB of its memory, and some 160 MiB of bpftrace’s',
  },
};

const REFUSALS: Readonly<Record<MethodRefusal, string>> = {
  absent: 'this kernel has none of it',
  off: 'it is off',
  'not-mounted': 'its file system is not mounted',
  denied: 'root only',
  threshold: 'count_threshold leaves out what is small: write 0 into it',
  'not-installed': 'it is not installed',
  'not-readable': 'it cannot be read',
};

/** How each is turned on. */
const ASK_FOR: Readonly<Partial<Record<OfferedMethod['method'], string>>> = {
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

/** Whether it can be had, and how it could be. */
export function refusalWords({ method, refusal, why }: OfferedMethod): string {
  if (refusal === null) return method === 'bpftrace' ? 'yes, by --engine bpftrace' : 'yes';
  const ask =
    refusal === 'off' ? ASK_FOR[method] : refusal === 'not-mounted' ? MOUNTS[method] : undefined;
  const reason = refusal === 'not-readable' && why !== null ? escapeText(why) : REFUSALS[refusal];
  return `no: ${reason}${ask === undefined ? '' : ` (${ask})`}`;
}

/** What this kernel offers, the best first; the first that it has is taken unless another is named. */
export function methodsText(
  type: AllocationType,
  methods: readonly OfferedMethod[],
  width: number | null,
): string {
  const columns: Column<OfferedMethod>[] = [
    { heading: 'METHOD', value: ({ method }) => method },
    { heading: 'OFFERED', value: refusalWords, shrinks: { keeps: 'words', least: 20 } },
    {
      heading: 'TELLS',
      value: ({ method }) => WORDS[method].tells,
      shrinks: { keeps: 'words', least: 20 },
    },
    {
      heading: 'COSTS',
      value: ({ method }) => WORDS[method].costs,
      shrinks: { keeps: 'words', least: 20 },
      spare: 1,
    },
  ];
  const taken = takenMethod(methods);
  const said = taken
    ? `--type ${type} takes ${taken} unless --method names another.`
    : `Nothing on this machine tells of --type ${type}.`;
  return `${wrap(said, width).join('\n')}\n\n${renderTable(columns, methods, width)}`;
}

/** `kdump-mem.leak-methods/1`. */
export function methodsJson(
  type: AllocationType,
  methods: readonly OfferedMethod[],
): LeakMethodsJson {
  return {
    schema: 'kdump-mem.leak-methods/1',
    type,
    taken: takenMethod(methods) ?? null,
    methods: methods.map((one) => ({
      method: one.method,
      refusal: one.refusal,
      why: one.why,
      ...WORDS[one.method],
      message: refusalWords(one),
    })),
  };
}
