import type { Course } from '../../growth/trend.js';
import type { WatchVerdict } from '../../growth/watch/doubts.js';
import type { Explanations } from './explanation.js';

const SLOPE = 'A Theil-Sen slope with an interval of 99 % confidence.';

/** How a process, category or what else is followed changed. */
export const COURSES: Explanations<Course> = {
  grows: {
    means: 'It grew over the whole time for sure, and still does in the later half of it.',
    known: SLOPE,
    next: 'See the rate, and between which bounds it is; then who has it.',
  },
  grew: {
    means: 'It grew over the whole time for sure. That it still does cannot be told.',
    known: SLOPE,
    next: 'Watch for longer.',
  },
  steady: {
    means: 'It neither grew nor shrank for sure: the interval of its rate has zero in it.',
    known: SLOPE,
    next: 'A wide interval hides much: see how far it reaches, and watch for longer.',
  },
  shrank: {
    means: 'It shrank over the whole time for sure. That it still does cannot be told.',
    known: SLOPE,
    next: 'Nothing, unless it is free memory: then see what grows.',
  },
  shrinks: {
    means: 'It shrank over the whole time for sure, and still does in the later half of it.',
    known: SLOPE,
    next: 'Nothing, unless it is free memory: then see what grows.',
  },
};

/** What `kdump-mem watch` says of the machine. */
export const WATCH_VERDICTS: Explanations<WatchVerdict> = {
  grows: {
    means:
      'A category that the kernel does not take back by itself grows, whatever comes back daily.',
    known: `${SLOPE} Samples of the same time of the day are compared with each other.`,
    next: 'The category that grows stands first: kdump-mem explain tells what to do about it.',
    deeper: 'kdump-mem memory --live',
  },
  'nothing-grows': {
    means: 'It is known that nothing grows faster than the bound that the answer has.',
    known:
      'The upper ends of the intervals of all categories, over long enough a time without large gaps.',
    next: 'Nothing.',
  },
  inconclusive: {
    means: 'Neither that something grows is known, nor that nothing does. It is no all-clear.',
    known: 'Too few samples, gaps, or what else stands among the doubts.',
    next: 'Read the doubts; watch for longer. Of a daily rhythm two days are needed.',
  },
};

/** What takes the memory that became less. */
export const LOSS_EXPLANATIONS: Explanations<'categories' | 'processes' | 'nothing'> = {
  categories: {
    means: 'What grew is at least half of what free memory fell by.',
    known: 'All categories add up to the memory of the machine: what one lost others have.',
    next: 'Look at the category that grew most.',
    deeper: 'kdump-mem memory --live',
  },
  processes: {
    means:
      'At most half of what MemAvailable falls by is in something else than the processes that grow.',
    known: 'The rate of MemAvailable beside that of what processes take.',
    next: 'Look at the process that grows fastest.',
    deeper: 'kdump-mem procs --live --watch',
  },
  nothing: {
    means: 'More than half of what was lost is in nothing that grew here.',
    known: 'The loss beside the sum of all that grew.',
    next: 'Look at the kernel: categories, then who allocates.',
    deeper: 'kdump-mem leaks',
  },
};
