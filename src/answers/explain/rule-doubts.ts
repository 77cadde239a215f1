import type { RuleDoubt } from '../../triage/rules/match.js';
import type { Explanations } from './explanation.js';

const SEE_WARNINGS =
  'Read the warnings of the answer. Dump with makedumpfile -d 1 (or less) next time.';

/** Of `rules.unknown`: why a rule could not be evaluated. */
export const RULE_DOUBTS_EXPLAINED: Explanations<RuleDoubt> = {
  'panic-unknown': {
    means:
      'The rule tests the panic. Whether the kernel panicked, or for which reason, is unknown.',
    known: 'The kernel variable panic_cpu, and the kernel log.',
    next: SEE_WARNINGS,
  },
  'release-unknown': {
    means: 'The rule tests the kernel release. The log contains none, or several.',
    known: 'The first message of the kernel (Linux version), for each boot of a text log.',
    next: 'Use a log that begins at a boot, and choose one boot with --boot.',
  },
  'taint-unreadable': {
    means: 'The rule tests the taint flags. They cannot be read.',
    known: 'tainted_mask in the dump.',
    next: SEE_WARNINGS,
  },
  'modules-unreadable': {
    means: 'The rule tests the loaded modules. Their list cannot be read.',
    known: 'The list `modules` in the dump.',
    next: SEE_WARNINGS,
  },
  'memory-unavailable': {
    means: 'The rule tests the memory breakdown. It is not available.',
    known: 'The failed memory breakdown.',
    next: 'Run kdump-mem memory: it reports the reason.',
    deeper: 'kdump-mem memory',
  },
  'category-incomplete': {
    means: 'The rule tests a memory category that is incomplete.',
    known: '`complete` of that category.',
    next: SEE_WARNINGS,
    deeper: 'kdump-mem memory',
  },
  'owners-unknown': {
    means:
      'The rule tests an owner. The part of the category without a known owner is large enough to hide one.',
    known: 'The bytes of the category, minus the sum of its owners.',
    next: 'List all owners: kdump-mem memory --all.',
    deeper: 'kdump-mem memory --all',
  },
  'findings-folded': {
    means: 'The rule tests a finding. More findings of this code exist than the answer lists.',
    known: '`others` of the last of them.',
    next: 'Test its count, or make the rule less specific.',
  },
  'log-incomplete': {
    means:
      'The rule tests for a line of the log. The log is incomplete: a missing message may match.',
    known: 'Sequence numbers of the log, and its counts of overwritten messages.',
    next: 'Search for the line in the journal. Boot with a larger log_buf_len.',
  },
  'answer-incomplete': {
    means: 'The rule tests for a finding. There is none, but the answer is incomplete.',
    known: '`complete` of the answer.',
    next: SEE_WARNINGS,
  },
  'stacks-unreadable': {
    means: 'The rule tests stacks or tasks. None can be read.',
    known: 'The error in `why`.',
    next: SEE_WARNINGS,
    deeper: 'kdump-mem stacks',
  },
  'stacks-incomplete': {
    means: 'The rule tests stacks or tasks. Some of them cannot be read completely.',
    known: 'Stacks that end with `stopped`, and warnings about tasks.',
    next: SEE_WARNINGS,
    deeper: 'kdump-mem stacks',
  },
  'frame-guessed': {
    means: 'The rule tests for a function on a stack. The only such stack frame is a guess.',
    known: '`guess` of that frame.',
    next: 'Read the stack, and decide whether the frame is real.',
    deeper: 'kdump-mem stacks',
  },
  'figures-unknown': {
    means:
      'The rule tests figures of a finding. They are unknown, or unknown for some of the findings that it stands for.',
    known: 'Figures that are null, and `others`.',
    next: 'Test a figure that this finding has.',
  },
};
