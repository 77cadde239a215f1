import type { WatchDoubtCode } from '../../growth/watch/doubts.js';
import type { Explanations } from './explanation.js';

/** What makes an answer of `watch` doubtful, or was met besides. */
export const WATCH_DOUBTS: Explanations<WatchDoubtCode> = {
  'too-short': {
    means:
      'The samples are of less than two days, or those of a category are (another source told before). What people do comes back each day: one rising half of it looks like a leak, one falling half hides it.',
    known:
      'The time from the first sample of this boot to the last, or of the category with the least.',
    next: 'Watch on: a store goes on where it ended. For a fast leak ask procs --live --watch.',
    deeper: 'kdump-mem procs --live --watch',
  },
  gaps: {
    means: 'More than a tenth of the time has no samples. What happened in it is not known.',
    known: 'Times of samples that are more than two and a half intervals apart.',
    next: 'Let a service start it again (deploy/systemd/kdump-mem-watch.service), and watch on.',
  },
  'lost-samples': {
    means:
      'Some samples could not be taken, or not be stored: the disk was full, /proc could not be read.',
    known: 'The watch counts them; the next line says how many.',
    next: 'See what it printed on stderr (journalctl -u kdump-mem-watch).',
  },
  'no-ledger': {
    means:
      'Some samples do not tell where the memory is. Growth in the kernel is not seen in them.',
    known: 'The sample says why.',
    next: 'See whether the source can be read: kdump-mem memory --live --source counters.',
    deeper: 'kdump-mem memory --live --source counters',
  },
  'source-changed': {
    means:
      'Another source told where the memory is, by which categories have other figures. They are followed from there on.',
    known: 'The source of each sample.',
    next: 'Use one --source for one store.',
  },
  'sum-changed': {
    means:
      'Every page frame is in one category, so that all categories have the memory of the machine. In some samples they have more or less than in the one before, and MemTotal is as it was: a figure of the store is wrong.',
    known: 'The sum of all categories, held against that before and against MemTotal.',
    next: 'Begin a new store. Keep the old one: its other lines are whole.',
  },
  'may-grow': {
    means:
      'A category may grow so fast that it takes MemAvailable within a month: too much of its change is noise to rule that out. It may stand still just as well.',
    known: 'The upper end of the interval of its growth.',
    next: 'Watch on: the interval gets narrower with each day.',
  },
  'available-falls': {
    means:
      'MemAvailable falls for sure, and no category grows for sure: the two contradict each other, or several grow a little each.',
    known: 'The trend of MemAvailable beside those of the categories.',
    next: 'Watch with --source pageflags or kcore, which tell more of the kernel.',
    deeper: 'kdump-mem memory --live',
  },
  rebooted: {
    means:
      'The machine was booted meanwhile. What the kernel and processes held was gone with that: growth is told of the last boot.',
    known: '/proc/sys/kernel/random/boot_id of each sample.',
    next: 'See why it was booted: kdump-mem triage of the dump, if there is one.',
  },
  clock: {
    means:
      'Clocks contradict each other. Either a sample is not later than the one before and was left out, or the wall clock and the uptime advanced by different times (a virtual machine that was stopped and resumed, or a clock that was set).',
    known: '/proc/uptime of each sample, beside its wall-clock time.',
    next: 'See whether two watches, or a copy of a container, wrote into the store.',
  },
  hidden: {
    means:
      '/proc hides processes of other users (hidepid). They are not among those told; categories have all memory.',
    known: '/proc is mounted so.',
    next: 'Watch as root.',
  },
};
