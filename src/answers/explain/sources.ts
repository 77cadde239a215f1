import type { MemoryAnswer } from '../../account/memory/answer.js';
import type { LookupSource } from '../../leaks/survivors/lookup.js';
import type { Explanations } from './explanation.js';

const DEPTHS = 'kdump-mem memory --live --source counters';

/** What an answer was read from, and so how deep it looked. */
export const SOURCES: Explanations<MemoryAnswer['source'] | LookupSource | 'proc'> = {
  vmcore: {
    means: 'A dump: every page frame and object that it has was looked at.',
    known: 'The file that was given.',
    next: 'See what the dump left out: kdump-mem info.',
    deeper: 'kdump-mem info',
  },
  kcore: {
    means: 'The running kernel’s own memory: every page frame was looked at, while it changed.',
    known: '/proc/kcore.',
    next: 'Nothing.',
  },
  pageflags: {
    means:
      'Flags of page frames of the running kernel: each frame has a category, what the kernel itself allocates is told by counters.',
    known: '/proc/kpageflags and /proc/kpagecount.',
    next: 'As root, where the kernel allows it, /proc/kcore tells more.',
    deeper: 'kdump-mem doctor',
  },
  counters: {
    means: 'Counters of the running kernel alone: no page frame was looked at.',
    known: '/proc/meminfo, vmstat, zoneinfo and their kin.',
    next: 'As root /proc/kcore or flags of page frames tell more.',
    deeper: DEPTHS,
  },
  proc: {
    means: 'What the running kernel tells of each process.',
    known: '/proc/PID/smaps_rollup, statm and status.',
    next: 'Nothing.',
  },
  none: {
    means: 'Nothing could be read that tells where blocks are. It is no all-clear.',
    known: 'Each source was tried; the answer says what each said.',
    next: 'Ask as root, where /proc/kcore can be read.',
    deeper: 'kdump-mem doctor',
  },
};
