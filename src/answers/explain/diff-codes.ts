import type { Status } from '../../diff/lists.js';
import type { Measure } from '../../diff/state.js';
import type { Explanations } from './explanation.js';

const LISTS = 'The lists of the first and the last input.';

/** Whether the first and the last input have an entry of a list. */
export const DIFF_STATUSES: Explanations<Status> = {
  both: { means: 'The first and the last input have it.', known: LISTS, next: 'Nothing.' },
  new: { means: 'It appeared after the first input.', known: LISTS, next: 'See what started it.' },
  gone: { means: 'It no longer exists in the last input.', known: LISTS, next: 'Nothing.' },
  'was-empty': {
    means: 'The first input does not list it: it had no memory, or did not exist.',
    known: LISTS,
    next: 'Nothing.',
  },
  'is-empty': {
    means: 'The last input does not list it: it has no memory, or no longer exists.',
    known: LISTS,
    next: 'Nothing.',
  },
  'only-after': {
    means: 'Only the last input has it. The list of the first is incomplete, so it may be older.',
    known: LISTS,
    next: 'Save both answers as root and without --limit.',
  },
  'only-before': {
    means:
      'Only the first input has it. The list of the last is incomplete, so it may still exist.',
    known: LISTS,
    next: 'Save both answers as root and without --limit.',
  },
};

/** The figure that was compared. */
export const DIFF_MEASURES: Explanations<Measure> = {
  pss: {
    means: 'Memory of a process, each shared page divided among the processes that map it.',
    known: 'smaps_rollup; page tables in a dump.',
    next: 'Nothing: it is the best measure, and sums are exact.',
  },
  rss: {
    means: 'Resident memory of a process, each shared page counted fully.',
    known: '/proc/PID/statm.',
    next: 'Run procs as root for PSS.',
  },
  pinned: {
    means: 'Pages and slab slots that a socket keeps from being freed.',
    known: 'The skbs of its queues, counted page by page.',
    next: 'Nothing: it is counted.',
  },
  estimated: {
    means: 'Memory that a socket probably pins.',
    known: 'ss and /proc; skcheck shows the bounds.',
    next: 'Run skcheck --exact where /proc/kcore is readable.',
    deeper: 'skcheck --exact',
  },
  unread: {
    means: 'Payload that is queued in a socket, unread. The socket may pin much more.',
    known: 'The counter of the socket.',
    next: 'Save both answers with skcheck --json, which estimates the pinned memory.',
  },
  bytes: {
    means: 'Memory of a slab cache or of a vmalloc caller.',
    known: 'Slabs and vmalloc areas; slabinfo and vmallocinfo.',
    next: 'Nothing.',
  },
  charged: {
    means: 'Page frames that are charged to a cgroup.',
    known: 'memcg_data of each struct page.',
    next: 'Nothing: it is counted.',
  },
  usage: {
    means: 'Memory usage by the counter of a cgroup, child cgroups included.',
    known: 'memory.current.',
    next: 'Nothing.',
  },
};
