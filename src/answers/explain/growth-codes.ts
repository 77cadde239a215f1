import type { Course } from '../../growth/trend.js';
import type { WatchVerdict } from '../../growth/watch/doubts.js';
import type { Explanations } from './explanation.js';

const SLOPE = 'A Theil-Sen slope with an interval of 99 % confidence.';

/** How a process, category or what else is followed changed. */
export const COURSES: Explanations<Course> = {
  grows: {
    means: 'Significant growth over the whole time, and in its second half.',
    known: SLOPE,
    next: 'Check the rate and its bounds, then find the owner.',
  },
  grew: {
    means:
      'Significant growth over the whole time, but not in its second half: it may have stopped.',
    known: SLOPE,
    next: 'Watch for longer.',
  },
  steady: {
    means: 'No significant change: the interval of the rate contains zero.',
    known: SLOPE,
    next: 'Check how wide the interval is. Watch longer to narrow it.',
  },
  shrank: {
    means:
      'Significant decline over the whole time, but not in its second half: it may have stopped.',
    known: SLOPE,
    next: 'Nothing, unless it is free memory: then find what grows.',
  },
  shrinks: {
    means: 'Significant decline over the whole time, and in its second half.',
    known: SLOPE,
    next: 'Nothing, unless it is free memory: then find what grows.',
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
    next: 'Nothing.',
  },
  inconclusive: {
    means: 'Growth is neither shown nor excluded. This is not an all-clear.',
    known: 'Too few samples, gaps, or another of the listed doubts.',
    next: 'Read the doubts, and watch longer. A daily pattern needs two days.',
  },
};

/** What takes the memory that became less. */
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
