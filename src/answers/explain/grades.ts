import type { Severity } from '../../triage/finding.js';
import type { Explanations } from './explanation.js';

/** How much a finding matters. */
export const SEVERITIES_EXPLAINED: Explanations<Severity | 'silent'> = {
  critical: {
    means: 'The machine crashed, hangs, or lost memory that it needs.',
    known: 'The finding’s own rule, or yours (--rules).',
    next: 'Investigate it first. --fail-on critical turns it into an exit status.',
  },
  warning: {
    means: 'A problem that may be the cause, or may become one.',
    known: 'The finding’s own rule, or yours (--rules).',
    next: 'Investigate it after critical findings.',
  },
  note: {
    means: 'Information: not a problem by itself.',
    known: 'The finding’s own rule, or yours (--rules).',
    next: 'Nothing.',
  },
  silent: {
    means: 'One of your rules silences this finding.',
    known: '--rules; the answer lists silenced findings with the reason.',
    next: 'Nothing, as long as the reason holds.',
  },
};

/** How sure a verdict of skcheck is. */
export const CERTAINTIES: Explanations<'proved' | 'likely'> = {
  proved: {
    means: 'The samples have no other explanation.',
    known: 'Counters of two samples.',
    next: 'Act on it.',
  },
  likely: {
    means: 'The most frequent cause of these samples; others are possible.',
    known: 'The samples lack a counter that would prove it.',
    next: 'Sample for longer: --interval 10, or --samples 5.',
    deeper: 'skcheck --samples 5 --interval 2',
  },
};

/** Whether the kernel of a dump had panicked. */
export const PANIC_STATES: Explanations<'panicked' | 'running' | 'unknown'> = {
  panicked: {
    means: 'The kernel had panicked; the answer has the reason.',
    known: 'The panic message in the log, panic_cpu, or a dump written by the crash kernel.',
    next: 'See the finding, the log and the stack of the task.',
    deeper: 'kdump-mem triage',
  },
  running: {
    means: 'The kernel had not panicked: the machine was running.',
    known: 'The complete log contains no panic, and panic_cpu names no CPU.',
    next: 'Nothing: the dump was taken on purpose, for example by a hypervisor.',
  },
  unknown: {
    means: 'It is unknown whether the kernel had panicked.',
    known: 'The log and panic_cpu are unreadable or inconclusive.',
    next: 'See the end of the log, if the dump has it.',
    deeper: 'kdump-mem log',
  },
};
