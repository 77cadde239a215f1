import type { RuleDoubt } from '../../triage/rules/told.js';
import type { Explanations } from './explanation.js';

const WHAT_LACKS = 'Look at the warnings of the answer, and dump with makedumpfile -d 1 (or less).';

/** Of `rules.unknown`: why it could not be told whether what a rule asks for is there. */
export const RULE_DOUBTS_EXPLAINED: Explanations<RuleDoubt> = {
  'panic-not-known': {
    means: 'The rule asks for a panic, and whether or why there was one cannot be told.',
    known: 'The kernel’s own note (panic_cpu), and its log.',
    next: WHAT_LACKS,
  },
  'release-not-known': {
    means: 'The rule asks for a release of the kernel, and the log contains none, or several.',
    known: 'The kernel’s first message (Linux version), for each boot of a log that is text.',
    next: 'Name a log that begins at a boot, and one boot of it with --boot.',
  },
  'taint-not-read': {
    means: 'The rule asks for taint, and the kernel’s mask of it cannot be read.',
    known: 'tainted_mask in the dump.',
    next: WHAT_LACKS,
  },
  'modules-not-read': {
    means: 'The rule asks for a module, and the list of modules cannot be read.',
    known: 'The list `modules` in the dump.',
    next: WHAT_LACKS,
  },
  'memory-not-counted': {
    means: 'The rule asks where the memory is, which could not be counted.',
    known: 'The account of memory, which failed.',
    next: 'Ask kdump-mem memory, which says why.',
    deeper: 'kdump-mem memory',
  },
  'category-incomplete': {
    means: 'The rule asks for a category of which a part is not known.',
    known: '`complete` of that category.',
    next: WHAT_LACKS,
    deeper: 'kdump-mem memory',
  },
  'owners-not-known': {
    means: 'The rule asks for an owner, and enough of the category has none that is known.',
    known: 'Bytes of the category beside the sum of its owners.',
    next: 'Ask for more: kdump-mem memory --all.',
    deeper: 'kdump-mem memory --all',
  },
  'findings-folded': {
    means: 'The rule asks for a finding of which there are more than are told one by one.',
    known: '`others` of the last of them.',
    next: 'Ask for it by its count, or make the rule wider.',
  },
  'log-not-whole': {
    means:
      'The rule asks for a line of the log, and the log is not whole: it may be in what lacks.',
    known: 'Sequence numbers of the log, and its own counts of what was overwritten.',
    next: 'Boot with a larger log_buf_len; here, look for the line in the journal.',
  },
  'answer-not-whole': {
    means: 'The rule asks for a finding that was not made, and not everything could be looked at.',
    known: '`complete` of the answer.',
    next: WHAT_LACKS,
  },
  'stacks-not-read': {
    means: 'The rule asks for stacks or tasks, and none can be read.',
    known: 'The error that the words have.',
    next: WHAT_LACKS,
    deeper: 'kdump-mem stacks',
  },
  'stacks-not-whole': {
    means: 'The rule asks for stacks or tasks, and some of them cannot be read to their end.',
    known: 'Stacks that end with `stopped`, and warnings about tasks.',
    next: WHAT_LACKS,
    deeper: 'kdump-mem stacks',
  },
  'frame-guessed': {
    means: 'The function that the rule asks for is on a stack by a guess alone.',
    known: '`guess` of that frame.',
    next: 'Look at the stack yourself.',
    deeper: 'kdump-mem stacks',
  },
  'figures-not-known': {
    means:
      'The rule asks for figures of a finding that are not known, or not of all that it stands for.',
    known: 'Figures that are null, and `others`.',
    next: 'Ask for a figure that this finding has.',
  },
};
