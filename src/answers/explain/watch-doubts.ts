import type { WatchDoubtCode } from '../../growth/watch/doubts.js';
import type { Explanations } from './explanation.js';

/** What makes an answer of `watch` doubtful, or is worth knowing beside it. */
export const WATCH_DOUBTS: Explanations<WatchDoubtCode> = {
  'too-short': {
    means:
      'The samples cover less than two days, or those of one category do (its source changed). Load follows a daily pattern: the rising half of a day looks like a leak, the falling half hides one.',
    known:
      'The time between the first and the last sample of this boot, for the category with the shortest history.',
    next: 'Continue to watch: a store resumes where it ended. For a fast leak run procs --live --watch.',
    deeper: 'kdump-mem procs --live --watch',
  },
  gaps: {
    means: 'More than a tenth of the time has no samples. Growth during these gaps is unknown.',
    known: 'Times of samples that are more than two and a half intervals apart.',
    next: 'Run it as a service that restarts (deploy/systemd/kdump-mem-watch.service).',
  },
  'lost-samples': {
    means:
      'Some samples could not be read or stored: the disk was full, or /proc was not readable.',
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
