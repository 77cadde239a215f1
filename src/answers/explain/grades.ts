import type { Severity } from '../../triage/finding.js';
import type { Explanations } from './explanation.js';

/** How much a finding matters. */
export const SEVERITIES_EXPLAINED: Explanations<Severity | 'silent'> = {
  critical: {
    means: 'The machine crashed, hangs, or lost memory that it needs.',
    known: 'The finding’s own rule, or yours (--rules).',
    next: 'Look at it first. --fail-on critical makes it an exit status.',
  },
  warning: {
    means: 'Something is wrong that may be the cause, or become one.',
    known: 'The finding’s own rule, or yours (--rules).',
    next: 'Look at it after what is critical.',
  },
  note: {
    means: 'Worth knowing, and by itself no trouble.',
    known: 'The finding’s own rule, or yours (--rules).',
    next: 'Nothing.',
  },
  silent: {
    means: 'A rule of yours says that this finding is not to be told.',
    known: '--rules; the answer keeps what it silenced, and why.',
    next: 'Nothing, as long as the rule’s reason holds.',
  },
};

/** How sure a verdict of skcheck is. */
export const CERTAINTIES: Explanations<'proved' | 'likely'> = {
  proved: {
    means: 'Nothing else explains what was seen.',
    known: 'Counters of two samples.',
    next: 'Act on it.',
  },
  likely: {
    means: 'It is what is mostly behind what was seen; something else is possible.',
    known: 'What was seen lacks a counter that would prove it.',
    next: 'Look for longer: --interval 10, or --samples 5.',
    deeper: 'skcheck --samples 5 --interval 2',
  },
};

/** Whether the kernel of a dump had panicked. */
export const PANIC_STATES: Explanations<'panicked' | 'running' | 'unknown'> = {
  panicked: {
    means: 'The kernel had panicked; why stands beside it.',
    known: 'The panic’s words in the log, or panic_cpu, or a dump that the crash itself made.',
    next: 'See the finding, the log and the stack of the task.',
    deeper: 'kdump-mem triage',
  },
  running: {
    means: 'The kernel had not panicked: the dump is of a machine that ran.',
    known: 'The whole log has no panic, and panic_cpu says that no CPU did.',
    next: 'Nothing: somebody took the dump on purpose, as a hypervisor does.',
  },
  unknown: {
    means: 'It cannot be told whether the kernel had panicked.',
    known: 'The log or panic_cpu cannot be read, and nothing else says so.',
    next: 'See the end of the log, if the dump has it.',
    deeper: 'kdump-mem log',
  },
};
