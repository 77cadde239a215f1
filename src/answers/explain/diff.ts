import type { Status } from '../../diff/lists.js';
import type { Measure, Note } from '../../diff/state.js';
import type { Explanations } from './schema.js';

const LISTS = 'The lists of the first and the last input.';

/** Whether the first and the last input have an entry of a list. */
export const DIFF_STATUSES: Explanations<Status> = {
  both: { means: 'The first and the last input have it.', known: LISTS, next: 'None.' },
  new: { means: 'It appeared after the first input.', known: LISTS, next: 'See what started it.' },
  gone: { means: 'It no longer exists in the last input.', known: LISTS, next: 'None.' },
  'was-empty': {
    means: 'The first input does not list it: it had no memory, or did not exist.',
    known: LISTS,
    next: 'None.',
  },
  'is-empty': {
    means: 'The last input does not list it: it has no memory, or no longer exists.',
    known: LISTS,
    next: 'None.',
  },
  'only-after': {
    means: 'Only the last input has it. The list of the first is incomplete, so it may be older.',
    known: LISTS,
    next: 'Save both answers as root and without --limit.',
  },
  'only-before': {
    means: 'Only the first input has it. The list of the last is incomplete, so it may still exist.',
    known: LISTS,
    next: 'Save both answers as root and without --limit.',
  },
};

/** Compared measures. */
export const DIFF_MEASURES: Explanations<Measure> = {
  pss: {
    means: 'Memory of a process, each shared page divided among the processes that map it.',
    known: 'smaps_rollup; page tables in a dump.',
    next: 'None: it is the best measure, and sums are exact.',
  },
  rss: {
    means: 'Resident memory of a process, each shared page counted fully.',
    known: '/proc/PID/statm.',
    next: 'Run procs as root for PSS.',
  },
  pinned: {
    means: 'Pages and slab slots that a socket keeps from being freed.',
    known: 'The skbs of its queues, counted page by page.',
    next: 'None: it is counted.',
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
    next: 'None.',
  },
  charged: {
    means: 'Page frames that are charged to a cgroup.',
    known: 'memcg_data of each struct page.',
    next: 'None: it is counted.',
  },
  usage: {
    means: 'Memory usage by the counter of a cgroup, child cgroups included.',
    known: 'memory.current.',
    next: 'None.',
  },
};

/** Limits of a comparison by `diff`. */
export const DIFF_NOTES: Explanations<Note['code']> = {
  reordered: {
    means: 'The inputs were not given in the order of their times. diff sorted them.',
    known: 'Uptime if all are of one boot, else the clock.',
    next: 'None: the answer is in the right order.',
  },
  'same-time': {
    means: 'Two inputs have the same time of capture, perhaps copies of one. Rates are unknown.',
    known: 'The times of the inputs.',
    next: 'Compare files of two different times.',
  },
  'time-unknown': {
    means: 'The time of capture of an input is unknown. The inputs stay in the given order, and rates are unknown.',
    known: 'Answers of an older kdump-mem, and some captures and dumps, do not contain it.',
    next: 'Give the earlier one first, or save them again with this kdump-mem.',
  },
  'clock-set': {
    means: 'The clock and the uptime advanced by different amounts.',
    known: 'Both clocks in the first and the last input. Rates use the uptime.',
    next: 'Do not rely on clock times.',
  },
  'different-hosts': {
    means: 'The inputs are of different hosts. Changes are differences, not growth.',
    known: 'Host names, where boot ids do not prove that it is one boot.',
    next: 'Compare inputs of one host to find growth.',
  },
  'different-boots': {
    means: 'The machine rebooted in between. Processes and sockets are not compared, and rates are unknown.',
    known: 'Boot ids; else the kernel release, or boot times (clock minus uptime) more than two minutes apart.',
    next: 'Compare inputs of one boot.',
  },
  'boot-unknown': {
    means: 'It is unknown whether the inputs are of one boot of one host.',
    known: 'Not all inputs contain a boot id, or a boot time and host name.',
    next: 'Save answers and captures with this kdump-mem, which records the boot id.',
  },
  'different-kernels': {
    means: 'The kernel releases differ. Categories, caches and callers may be divided differently.',
    known: 'uname -r.',
    next: 'Expect changes of caches and callers that are not growth.',
  },
  'different-page-sizes': {
    means: 'The base page sizes differ, so the same objects take different amounts of memory.',
    known: 'The page size of each input.',
    next: 'Compare inputs of one kernel.',
  },
  'different-sources': {
    means:
      'One input is from page frames, another from page flags or counters. These put memory that they cannot see into other categories, so single categories are not compared.',
    known: 'The `source` of each input.',
    next: 'Use one source for both, for example: kdump-mem memory --live --source counters.',
    deeper: 'kdump-mem memory --live --source counters',
  },
  'memory-hotplug': {
    means: 'Memory was hot-added or hot-removed between the inputs.',
    known: 'The sum of all categories.',
    next: 'Subtract it from the change of free memory.',
  },
  'different-memory-sizes': {
    means: 'The last input has more or less memory in total than the first.',
    known: 'The sum of all categories.',
    next: 'Compare shares, not bytes.',
  },
  'missing-in-input': {
    means: 'An input lacks a part that others contain. That part is not compared.',
    known: 'The contents of each input.',
    next: 'Append the missing answer to the file: kdump-mem procs --live --json >> FILE.',
  },
  'list-incomplete': {
    means: 'A list is incomplete (--limit, --container, hidepid). An entry that only one input has may be in both.',
    known: 'What the list reports about itself, and its length compared with the total.',
    next: 'Save it as root, without options that leave entries out.',
  },
  'missed-process': {
    means: 'Processes started before the first input was captured, but are missing there. They do not count as new.',
    known: 'Their start times, compared with the uptime of the first input.',
    next: 'Do not rely on the sum of processes.',
  },
  'lesser-measure': {
    means:
      'Some entries are not compared by the best measure, because an input lacks it: processes by RSS instead of PSS, sockets by an estimate.',
    known: 'The measures in the first and the last input.',
    next: 'Save both as root.',
  },
  'change-unknown': {
    means: 'The change of some entries is unknown, and in no sum.',
    known: 'First and last input have no measure in common, or one of them lacks the category.',
    next: 'Save both in the same way.',
  },
  'pid-reused': {
    means: 'A pid belongs to another process now. The two are not compared with each other.',
    known: 'The pid and the start time of the process.',
    next: 'None: one has exited, one is new.',
  },
  incomplete: {
    means: 'An input is incomplete. The missing part may be what grew.',
    known: 'The input reports it; the warning contains the first reason.',
    next: 'Run the command that made it, and read its warnings.',
  },
  inconsistent: {
    means: 'Sums in an input do not add up: it was modified or damaged.',
    known: 'Categories and their children, processes and their total, pages and slots of a socket.',
    next: 'Save it again, or find an undamaged copy.',
  },
  spread: {
    means: 'The answers in one file were captured more than a minute apart. They count as one time.',
    known: 'The time of each answer.',
    next: 'Save them one directly after the other.',
  },
};
