import type { Course } from '../../growth/trend.js';
import type { WatchDoubtCode, WatchVerdict } from '../../growth/watch/answer.js';
import type { Explanations } from './schema.js';

const SLOPE = 'A Theil-Sen slope with an interval of 99 % confidence.';

/** The trend of a process or category. */
export const COURSES: Explanations<Course> = {
  grows: {
    means: 'Significant growth over the whole time, and in its second half.',
    known: SLOPE,
    next: 'Check the rate and its bounds, then find the owner.',
  },
  grew: {
    means: 'Significant growth over the whole time, but not in its second half: it may have stopped.',
    known: SLOPE,
    next: 'Watch for longer.',
  },
  steady: {
    means: 'No significant change: the interval of the rate contains zero.',
    known: SLOPE,
    next: 'Check how wide the interval is. Watch longer to narrow it.',
  },
  shrank: {
    means: 'Significant decline over the whole time, but not in its second half: it may have stopped.',
    known: SLOPE,
    next: 'None, unless it is free memory: then find what grows.',
  },
  shrinks: {
    means: 'Significant decline over the whole time, and in its second half.',
    known: SLOPE,
    next: 'None, unless it is free memory: then find what grows.',
  },
};

/** Verdicts of `kdump-mem watch`. */
export const WATCH_VERDICTS: Explanations<WatchVerdict> = {
  grows: {
    means: 'A category that the kernel does not reclaim by itself grows, daily patterns removed.',
    known: `${SLOPE} Samples of the same time of day are compared.`,
    next: 'Run kdump-mem explain with the first category that is listed.',
    deeper: 'kdump-mem memory --live',
  },
  'nothing-grows': {
    means: 'No category grows faster than the reported bound.',
    known: 'The upper ends of all intervals, over enough time without large gaps.',
    next: 'None.',
  },
  inconclusive: {
    means: 'Growth is neither shown nor excluded. This is not an all-clear.',
    known: 'Too few samples, gaps, or another of the listed doubts.',
    next: 'Read the doubts, and watch longer. A daily pattern needs two days.',
  },
};

/** Causes of a loss of free memory. */
export const LOSS_EXPLANATIONS: Explanations<'categories' | 'processes' | 'nothing'> = {
  categories: {
    means: 'The categories that grew account for at least half of the loss of free memory.',
    known: 'All categories add up to the memory of the machine.',
    next: 'Inspect the category that grew most.',
    deeper: 'kdump-mem memory --live',
  },
  processes: {
    means: 'Growing processes account for at least half of the decline of MemAvailable.',
    known: 'The rate of MemAvailable, compared with the rates of processes.',
    next: 'Inspect the process that grows fastest.',
    deeper: 'kdump-mem procs --live --watch',
  },
  nothing: {
    means: 'Less than half of the loss is attributed to anything that grew.',
    known: 'The loss, compared with the sum of all growth.',
    next: 'Inspect kernel memory: its categories, then its allocation sites.',
    deeper: 'kdump-mem leaks',
  },
};

/** Doubts and notes of an answer of `watch`. */
export const WATCH_DOUBTS: Explanations<WatchDoubtCode> = {
  'too-short': {
    means:
      'The samples cover less than two days, or those of one category do (its source changed). Load follows a daily pattern: the rising half of a day looks like a leak, the falling half hides one.',
    known: 'The time between the first and the last sample of this boot, for the category with the shortest history.',
    next: 'Continue to watch: a store resumes where it ended. For a fast leak run procs --live --watch.',
    deeper: 'kdump-mem procs --live --watch',
  },
  gaps: {
    means: 'More than a tenth of the time has no samples. Growth during these gaps is unknown.',
    known: 'Times of samples that are more than two and a half intervals apart.',
    next: 'Run it as a service that restarts (deploy/systemd/kdump-mem-watch.service).',
  },
  'lost-samples': {
    means: 'Some samples could not be read or stored: the disk was full, or /proc was not readable.',
    known: 'The watch counts them; the next stored line has the number.',
    next: 'Check its messages on stderr (journalctl -u kdump-mem-watch).',
  },
  'no-categories': {
    means: 'Some samples have no memory breakdown. They show no growth of kernel memory.',
    known: 'The sample contains the reason.',
    next: 'Check that the source is readable: kdump-mem memory --live --source counters.',
    deeper: 'kdump-mem memory --live --source counters',
  },
  'source-changed': {
    means:
      'The source of the memory breakdown changed, and with it the figures of categories. Growth is computed from the change on.',
    known: 'The source of each sample.',
    next: 'Use one --source for one store.',
  },
  'sum-changed': {
    means:
      'The sum of all categories changed between samples, but MemTotal did not. Every page frame is in one category, so one of the stored figures is wrong.',
    known: 'The sum of all categories, compared with the previous sample and with MemTotal.',
    next: 'Start a new store. Keep the old one: its other lines are valid.',
  },
  'may-grow': {
    means:
      'A category may grow fast enough to use up MemAvailable within a month, or not at all. Its variation is too large to decide.',
    known: 'The upper end of the interval of its growth.',
    next: 'Continue to watch: the interval gets narrower with each day.',
  },
  'available-falls': {
    means:
      'MemAvailable declines significantly, but no category grows significantly. The two contradict each other, or several categories grow slowly.',
    known: 'The trend of MemAvailable beside those of the categories.',
    next: 'Watch with --source pageflags or kcore, which show more of the kernel.',
    deeper: 'kdump-mem memory --live',
  },
  rebooted: {
    means: 'The machine rebooted between samples. Growth is computed for the last boot only.',
    known: '/proc/sys/kernel/random/boot_id of each sample.',
    next: 'Find the cause of the reboot: run kdump-mem triage on the dump, if there is one.',
  },
  clock: {
    means:
      'Clocks are inconsistent. Either a sample is not later than the previous one and is ignored, or wall clock and uptime advanced differently. Causes are a virtual machine that was paused, or a clock that was set.',
    known: '/proc/uptime of each sample, beside its wall-clock time.',
    next: 'Check whether two watches, or a copied container, wrote to the same store.',
  },
  hidden: {
    means:
      '/proc hides processes of other users (hidepid). They are missing from the processes; categories include their memory.',
    known: 'The mount options of /proc.',
    next: 'Run the watch as root.',
  },
};
