/** A way to make a guest's kernel panic, and the expected findings. */
export interface PanicKind {
  readonly name: string;
  /** Settings in /proc/sys/kernel; the command below runs on its own, and need not return. */
  readonly sysctls?: string;
  readonly run: string;
  /** Additional kernel command line. */
  readonly append?: string;
  /** Sends an NMI once the module has reported that it is ready. */
  readonly nmi?: true;
  /** The source of task and CPU: the module's own line, or the kernel's message at its panic. */
  readonly who: 'module' | 'kernel';
  readonly reason: RegExp;
  readonly cause: RegExp | undefined;
  /** Codes above `note`, in order; a regular expression because kernels differ. */
  readonly findings: RegExp;
  /** Some functions of the panic's own stack, innermost first. */
  readonly stack: readonly string[];
  /** The first interrupted function: by the fault, the timer, the NMI. */
  readonly interrupted?: string;
}

const insmod = (what: string, where = 'task') => `insmod /panics.ko what=${what} where=${where}`;

const MODULE = ['panics_do', 'panics', 'do_one_initcall'];

/** A fault in the module itself. */
function fault(name: string, cause: RegExp, more: Partial<Omit<PanicKind, 'name' | 'cause'>> = {}): PanicKind {
  return {
    name,
    run: insmod(name),
    who: 'module',
    cause,
    reason: /^.*Fatal exception/,
    findings: /^panic oops$/,
    stack: ['panic', ...MODULE],
    interrupted: 'panics_do',
    ...more,
  };
}

const NULL = /^(BUG: kernel NULL pointer dereference, address: 0|Unable to handle kernel NULL)/;
const BUG = /^kernel BUG at .*panics\.c:\d+!$/;

export const KINDS: readonly PanicKind[] = [
  fault('null', NULL),
  fault('bug', BUG),
  fault('wild', /general protection fault, .*0x1234567800000000|^Unable to handle kernel/),
  fault('divide', /divide error/),
  fault('stack', /stack guard page was hit/, {
    stack: ['panic', 'panics_recurse', 'panics_recurse', ...MODULE],
    interrupted: 'panics_recurse',
  }),
  fault('list', /^kernel BUG at lib\/list_debug\.c/, {
    findings: /^panic memory-corruption oops$/,
    stack: ['panic', '__list_del_entry_valid', ...MODULE],
    interrupted: '__list_del_entry_valid',
  }),
  fault('null-in-interrupt', NULL, {
    run: insmod('null', 'irq'),
    stack: ['panic', 'panics_do', 'irq_work_run_list', 'panics', 'do_one_initcall'],
  }),
  fault('bug-in-softirq', BUG, { run: insmod('bug', 'softirq'), stack: ['panic', 'panics_do', 'call_timer_fn'] }),
  {
    name: 'panic',
    run: insmod('panic'),
    who: 'module',
    cause: undefined,
    findings: /^panic$/,
    reason: /^told to, by task$/,
    stack: ['panic', ...MODULE],
  },
  {
    name: 'warning',
    sysctls: 'echo 1 > panic_on_warn',
    run: insmod('warn'),
    who: 'module',
    cause: /^WARNING: .*panics\.c:/,
    reason: /panic_on_warn set/,
    findings: /^panic kernel-warning$/,
    stack: ['panic', ...MODULE],
    interrupted: 'panics_do',
  },
  {
    name: 'soft-lockup',
    sysctls: 'echo 1 > softlockup_panic; echo 2 > watchdog_thresh',
    run: insmod('spin'),
    who: 'module',
    cause: /^watchdog: BUG: soft lockup - CPU#\d/,
    reason: /^softlockup: hung tasks/,
    findings: /^panic soft-lockup$/,
    stack: ['panic', 'watchdog_timer_fn', 'panics_spin', ...MODULE],
    interrupted: 'panics_spin',
  },
  {
    name: 'hung-task',
    sysctls: 'echo 1 > hung_task_panic; echo 2 > hung_task_timeout_secs; echo 1 > hung_task_check_interval_secs',
    run: insmod('hang'),
    who: 'kernel',
    cause: /^INFO: task panics-hang:\d+ blocked for more/,
    reason: /^hung_task: blocked tasks/,
    findings: /^panic hung-task$/,
    stack: ['panic', 'kthread'],
  },
  {
    name: 'rcu-stall',
    sysctls:
      'echo 1 > panic_on_rcu_stall; echo 0 > watchdog; echo 3 > /sys/module/rcupdate/parameters/rcu_cpu_stall_timeout',
    run: insmod('spin'),
    who: 'kernel',
    cause: /^rcu: INFO: rcu_\w+ .*detected stalls? on /,
    reason: /^RCU Stall/,
    findings: /^panic rcu-stall$/,
    stack: ['panic'],
  },
  {
    name: 'out-of-memory',
    sysctls: 'echo 1 > /proc/sys/vm/panic_on_oom',
    run: 'dd if=/dev/zero of=/dev/null bs=130M & dd if=/dev/zero of=/dev/null bs=130M',
    who: 'kernel',
    cause: /^.* invoked oom-killer: /,
    reason: /^Out of memory: .*panic_on_oom/,
    findings: /^panic oom-kill( low-memory)?$/,
    stack: ['panic', 'out_of_memory', 'handle_mm_fault'],
  },
  {
    name: 'sysrq',
    run: 'echo c > /proc/sysrq-trigger',
    who: 'kernel',
    cause: /^sysrq: Trigger a crash$/,
    reason: /^sysrq triggered crash$/,
    findings: /^panic$/,
    stack: ['panic', 'sysrq_handle_crash', 'vfs_write'],
  },
  {
    name: 'double-free',
    append: 'slub_debug=FZ,kmalloc-64',
    run: `${insmod('twice')}; sleep 1; echo c > /proc/sysrq-trigger`,
    who: 'kernel',
    cause: /^sysrq: Trigger a crash$/,
    reason: /^sysrq triggered crash$/,
    findings: /^panic memory-corruption( kernel-warning)?$/,
    stack: ['panic', 'sysrq_handle_crash', 'vfs_write'],
  },
  {
    name: 'nmi',
    sysctls: 'echo 1 > unknown_nmi_panic',
    // Only the first CPU handles the NMI.
    run: `taskset 1 ${insmod('deaf')}`,
    nmi: true,
    who: 'module',
    cause: /NMI received for unknown reason/,
    reason: /^NMI: Not continuing/,
    findings: /^panic$/,
    stack: ['nmi_panic', 'exc_nmi', 'panics_spin', ...MODULE],
    interrupted: 'panics_spin',
  },
];

/** @throws if there is no such kind */
export function kindsOf(...names: readonly string[]): PanicKind[] {
  return names.map((name) => {
    const kind = KINDS.find((one) => one.name === name);
    if (!kind) throw new Error(`there is no kind of panic called ${name}`);
    return kind;
  });
}
