import type { MemoryAnswer } from '../../account/memory/answer.js';
import type { LookupSource } from '../../leaks/survivors/lookup.js';
import type { Explanations } from './explanation.js';

const DEPTHS = 'kdump-mem memory --live --source counters';

/** Data sources of an answer. */
export const SOURCES: Explanations<MemoryAnswer['source'] | LookupSource | 'proc'> = {
  vmcore: {
    means: 'A dump: every page frame and object in it was scanned.',
    known: 'The dump file.',
    next: 'See what the dump omits: kdump-mem info.',
    deeper: 'kdump-mem info',
  },
  kcore: {
    means: 'The memory of the running kernel: every page frame was scanned, while memory changed.',
    known: '/proc/kcore.',
    next: 'Nothing to do.',
  },
  pageflags: {
    means:
      'Page flags of the running kernel: each frame has a category, but counters provide most kernel memory.',
    known: '/proc/kpageflags and /proc/kpagecount.',
    next: 'As root, /proc/kcore provides more detail where the kernel allows it.',
    deeper: 'kdump-mem doctor',
  },
  counters: {
    means: 'Counters of the running kernel only: no page frame was scanned.',
    known: '/proc/meminfo, vmstat, zoneinfo and similar files.',
    next: 'As root, /proc/kcore or page flags provide more detail.',
    deeper: DEPTHS,
  },
  proc: {
    means: 'What the running kernel reports for each process.',
    known: '/proc/PID/smaps_rollup, statm and status.',
    next: 'Nothing to do.',
  },
  none: {
    means: 'No source of block locations was readable. This does not mean that there is no leak.',
    known: 'Each source was tried; the answer lists their errors.',
    next: 'Run the command as root, on a machine where /proc/kcore is readable.',
    deeper: 'kdump-mem doctor',
  },
};
