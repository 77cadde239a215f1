import type { Corruption } from '../../contracts/log-reports.js';
import type { WorkerFailureCode } from '../../triage/batch/worker.js';
import type { CauseRelation, Confidence } from '../../triage/causes.js';
import type { Severity } from '../../triage/finding.js';
import type { RuleDoubt } from '../../triage/rules/match.js';
import type { Explanation, Explanations } from './schema.js';

const corruption = (means: string, known: string): Explanation => ({
  means,
  known,
  next: 'Do not rely on the function in its title. Read the lines of the log around the report.',
});

/** Why a report of the kernel log cannot be trusted. */
export const CORRUPTIONS_EXPLAINED: Explanations<Corruption> = {
  'no-function': corruption(
    'The stack trace names no function of the kernel that could be at fault.',
    'The frames of the trace, less helpers that check, allocate, lock or print for others.',
  ),
  'no-first-lines': corruption(
    'The first lines of the report are missing.',
    'A line from the middle of a report without the line that begins one.',
  ),
  interleaved: corruption(
    'Messages of another CPU or task are mixed into the first line.',
    'A timestamp within the text of the line.',
  ),
  'lines-missing': corruption(
    'Lines that such a report always contains are missing.',
    'The lines that the kernel prints in every report of this kind.',
  ),
  cut: corruption(
    'The report ends within a stack trace.',
    'Fewer than three lines after the line that begins the trace.',
  ),
  'no-frames': corruption(
    'A stack trace of the report contains no frames.',
    'The lines after the one that begins the trace.',
  ),
  'no-trace': corruption(
    'The stack trace of this report is missing in the log.',
    'No line that begins a trace, or none with a frame.',
  ),
};

/** Why one finding is considered the cause of another. */
export const CAUSE_RELATIONS_EXPLAINED: Explanations<CauseRelation> = {
  'panic-message': {
    means: 'The message of the panic names this kind of problem, and this is the last one before it.',
    known: 'The panic message (kernel/panic.c and its callers).',
    next: 'Investigate the cause: the panic only follows from it.',
  },
  'share-of-shortfall': {
    means:
      'Memory ran out, and a large part was in no kernel counter. The owner of most of that part is known now, and it had the memory at that time: the dump is of the same moment, or the queued data is older than the report.',
    known:
      'MemTotal without all counters of the OOM report, and the owner’s bytes in the dump. At least 10 % of MemTotal must be in no counter, and the owner must have 50 % to 150 % of it.',
    next: 'Free the owner’s memory, or keep it from growing.',
  },
  'same-process': {
    means: 'The process that pins the memory does not read the sockets.',
    known: 'The age of the data in the receive queues, and the owners of the sockets.',
    next: 'Find out what the process waits for: stacks.',
  },
  'same-zone': {
    means: 'The zone that was short when memory ran out is still short.',
    known: 'The zone of the OOM report, and the watermarks of the dump.',
    next: 'Investigate the cause of the shortage.',
  },
  'waits-for-cpu': {
    means: 'The CPU waits until another one answers an interrupt, or the stall names that one, and it is locked up.',
    known: 'The function of the soft lockup (smp_call_function_*), or the CPU in the lines of the RCU stall.',
    next: 'Look at the stack trace of the CPU that is locked up: the waiting ones are its victims.',
    deeper: 'kdump-mem stacks',
  },
  'idle-cpu': {
    means:
      'The CPU of a soft lockup was halted, with nothing to run. It could not be stuck by itself: the hypervisor did not run it, or the guest was paused.',
    known: 'The task of the soft lockup is swapper (pid 0), and its stack begins in a halt.',
    next: 'Confirm it on the host. The lockup itself needs no search in the guest.',
    deeper: 'kdump-mem triage',
  },
  'same-cgroup': {
    means: 'The same cgroup is near its limit, or the log has a report of the OOM killer for it.',
    known: 'The path of the cgroup in the log, and in /sys/fs/cgroup.',
    next: 'Investigate the cause: its limit, or the report with its processes and counters.',
  },
  'local-peer': {
    means: 'The send queues belong to connections that another process of this machine does not read.',
    known: 'Both ends of each TCP connection in ss, their owners, and the charge of the send queues (skmem).',
    next: 'Find out what the reading process waits for: its sockets free the memory of both.',
  },
  'same-moment': {
    means: 'Both were measured at the same time, and one is a symptom of the other.',
    known: 'MemAvailable, watermarks, and PSI of the machine and of its cgroups.',
    next: 'Investigate the cause.',
  },
  'frees-enough': {
    means:
      'Little memory is available, and this is the largest amount that a healthy machine does not have. Without it, at least 10 % of memory would be available.',
    known: 'MemAvailable of /proc/meminfo, and the bytes of the finding.',
    next: 'Free that memory, or keep it from growing.',
  },
  rule: {
    means: 'One of your rules says that this finding follows from its own.',
    known: 'Field `causes` of the rule (--rules).',
    next: 'Follow the rule’s advice.',
  },
};

export const CONFIDENCES_EXPLAINED: Explanations<Confidence> = {
  likely: {
    means: 'Printed as “Probable cause”. Figures of the dump support it, and the answer is complete.',
    known: 'The links between findings.',
    next: 'Check what the conclusion names as an alternative, then act on the cause.',
  },
  possible: {
    means:
      'Printed as “Possible cause”. The counters of the report name the largest part of memory, the answer is incomplete, or the cause is the hypervisor, which a guest cannot see.',
    known: 'The links between findings, or the counters of the OOM report.',
    next: 'Check whether that much is normal for this machine, or check the host.',
  },
  unknown: {
    means: 'Printed as “Cause not found”. No finding and no counter explains why memory ran out.',
    known: 'The counters of the OOM report, and all findings.',
    next: 'Take a dump or a snapshot when it happens again, or read the rest of the log.',
  },
};

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
    next: 'None.',
  },
  silent: {
    means: 'One of your rules silences this finding.',
    known: '--rules; the answer lists silenced findings with the reason.',
    next: 'None, as long as the reason holds.',
  },
};

/** Certainty of a skcheck verdict. */
export const CERTAINTIES: Explanations<'proved' | 'likely'> = {
  proved: { means: 'The samples have no other explanation.', known: 'Counters of two samples.', next: 'Act on it.' },
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
    next: 'None: the dump was taken on purpose, for example by a hypervisor.',
  },
  unknown: {
    means: 'It is unknown whether the kernel had panicked.',
    known: 'The log and panic_cpu are unreadable or inconclusive.',
    next: 'See the end of the log, if the dump has it.',
    deeper: 'kdump-mem log',
  },
};

const SEE_WARNINGS = 'Read the warnings of the answer. Dump with makedumpfile -d 1 (or less) next time.';

/** Codes of `rules.unknown`: why a rule could not be evaluated. */
export const RULE_DOUBTS_EXPLAINED: Explanations<RuleDoubt> = {
  'panic-unknown': {
    means: 'The rule tests the panic. Whether the kernel panicked, or for which reason, is unknown.',
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
    means: 'The rule tests an owner. The part of the category without a known owner is large enough to hide one.',
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
    means: 'The rule tests for a line of the log. The log is incomplete: a missing message may match.',
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

const of = (means: string, known: string, next: string): Explanation => ({
  means,
  known,
  next,
  deeper: 'kdump-mem triage --ndjson --retry --resume FILE',
});

/** Why the worker process of a dump reported nothing: `error.code` of the dump's line. */
export const WORKER_FAILURES: Explanations<WorkerFailureCode> = {
  'timed-out': of(
    'The worker exceeded the time limit for one dump and was killed.',
    'The limit of --timeout.',
    'Raise --timeout. A network drive or a corrupt dump is slow.',
  ),
  killed: of(
    'A signal that kdump-mem did not send killed the worker.',
    'The signal in the exit status.',
    'Check the kernel log: the OOM killer may have killed it.',
  ),
  'out-of-memory': of(
    'The worker exceeded the memory limit for one dump and was killed.',
    'The limit of --worker-memory: resident memory, sampled a few times a second, and the V8 heap.',
    'Raise --worker-memory, and use fewer workers (--jobs).',
  ),
  exhausted: of(
    'The machine ran out of processes, file descriptors or memory. The dump is not the cause.',
    'errno.',
    'Raise the limits (ulimit), or use fewer workers (--jobs).',
  ),
  'worker-failed': of(
    'The worker failed. The line contains its last output.',
    'Its exit status.',
    'Run triage on that dump alone, and report its output.',
  ),
};
