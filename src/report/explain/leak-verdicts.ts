import type { LeakVerdict } from '../../leaks/verdict.js';
import type { Explanations } from './explanation.js';

/** What `kdump-mem leaks` says of a stack; its reason says why. */
export const LEAK_VERDICTS_EXPLAINED: Explanations<LeakVerdict> = {
  leaking: {
    means:
      'What this stack allocates grows all the time and is not freed, and what is held is nobody’s or waits where nobody takes it.',
    known:
      'Growth in each third of the time with 99 % confidence, and every block that is held looked up.',
    next: 'Read the reason beside it (explain nobody, explain waits), then the functions of the stack.',
  },
  growing: {
    means:
      'It grows, and that is no leak, or may be none: the kernel takes it back, somebody known has it, or it is not known where it is.',
    known: 'As of leaking; the reason says what is otherwise.',
    next: 'Read the reason beside it. Where it says not-looked-up, ask as root where /proc/kcore can be read.',
  },
  unknown: {
    means: 'Nothing can be said: too little was seen. It is no all-clear.',
    known: 'Windows and blocks that were seen are too few, or the interval of the growth too wide.',
    next: 'Ask for longer, or for more of it: --interval 1h, --sample 1/1.',
  },
  alive: {
    means: 'It turns over: what was held at first has been freed meanwhile, or it grows no more.',
    known: 'Blocks of the first third of the time, and the growth of the last.',
    next: 'Nothing.',
  },
};
