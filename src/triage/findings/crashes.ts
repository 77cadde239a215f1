import type { CrashReport } from '../../contracts/log-reports.js';
import { isRequestedCrash, isRequestedOops } from '../../log/words.js';
import {
  type Declarations,
  figuresOf,
  type Of,
  process,
  type Reported,
  running,
  text,
  type Words,
} from './declared.js';

type Oops = Reported & Partial<Of<'address' | 'trap' | 'place' | 'kind' | 'error' | 'module', string> & Of<'number'>>;

const REQUESTED = 'A user or a program requested this crash (SysRq-c): the kernel reported no fault.';

const REQUESTED_ACTION =
  'Find out who requested the crash, and why (perhaps the machine hung): the crash itself is no fault of the kernel.';

/** Why the reason of a panic is unknown. */
const unloggedWords = ({ logMessages }: Partial<Of<'logMessages'>>): string =>
  logMessages === null
    ? 'the reason is unknown, because the log is not available'
    : 'the log does not contain the reason';

const STUCK =
  'Read the stack traces of that task and of the other CPUs: another CPU may hold the lock that it waits for. In a virtual machine check the steal time.';

/** 2 × watchdog_thresh (kernel/watchdog.c) by default. */
const SOFT_LOCKUP_SECONDS = 20;

/** The first module in the stack trace that is not part of the kernel. */
const foreignModule = (report: CrashReport | undefined): string | undefined =>
  report?.stack.find(({ module, guess }) => !guess && module !== null && report.outOfTree.includes(module))?.module ??
  undefined;
const suspectWords = (module: string): string =>
  `First suspect: the kernel module “${text(module)}”, which is in the stack trace, and not part of the kernel (out-of-tree).`;

export const CRASHES = {
  panic: {
    words: (of: Reported & Partial<Of<'reason' | 'cause' | 'trigger', string> & Of<'logMessages'>>) => [
      `Kernel panic: ${of.reason == null ? unloggedWords(of) : text(of.reason)}.`,
      ...running(of),
      ...(/^hung_task: /.test(String(of.reason))
        ? ['khungtaskd only detects hung tasks, and the setting hung_task_panic requested the panic.']
        : []),
      ...(/^softlockup: /.test(String(of.reason))
        ? ['The setting softlockup_panic requested the panic; without it, the lockup remains.']
        : []),
      ...(isRequestedCrash(String(of.reason))
        ? [
            of.trigger == null
              ? REQUESTED
              : `${of.pid == null ? 'A process' : 'That process'} requested this crash by a write to ${text(of.trigger)}: the kernel reported no fault.`,
          ]
        : []),
      ...(of.cause == null ? [] : [`Preceded by: ${text(of.cause).replace(/\.$/, '')}.`]),
    ],
    means:
      'The kernel stopped itself with panic(), because it could not continue or because a setting requests it (panic_on_oops, softlockup_panic, hung_task_panic, vm.panic_on_oom). `reason` is the message of the panic. `cause` is the event before it in the log, and usually the one to investigate. `trigger` is the file whose writer requested the crash, by the stack of the panic.',
    known:
      'The line "Kernel panic - not syncing" (kernel/panic.c), and kernel variables: panic_cpu, crashing_cpu and the task running there.',
    next: 'Read the stack trace from the top: the first function that does not handle the fault is the place to investigate. Then read the log before the panic.',
    act: ({ reason }: Partial<Of<'reason', string>>) => {
      if (isRequestedCrash(String(reason))) return REQUESTED_ACTION;
      if (/^NMI: /.test(String(reason)))
        return 'Find out where the NMI came from: a hardware error (the event log of the BMC), a watchdog, or a person who sent it to get a dump.';
      if (/^(?:corrupted stack end|stack-protector: )/.test(String(reason)))
        return 'A kernel stack was overwritten or too small: the process that was running need not be at fault. Search for the functions of its stack trace in the log. If it happens again, use a kernel with KASAN, which reports the bad write itself; CONFIG_VMAP_STACK catches an overflow.';
      return /^hung_task: /.test(String(reason))
        ? 'Find the hung tasks in the log before it: what they wait for is the fault.'
        : undefined;
    },
    deeper: 'kdump-mem stacks --cpu N',
  },
  oops: {
    words: oopsWords,
    means:
      'Kernel code used an invalid pointer, divided by zero or reached a BUG(). The running task was killed, and its locks are never released: later hangs may be a consequence.',
    known:
      'Lines of arch/x86/mm/fault.c, arch/x86/kernel/dumpstack.c, arch/arm64/mm/fault.c, and lib/bug.c. An address below 4096 is a member of a structure accessed through a NULL pointer.',
    next: oopsAction({}),
    act: oopsAction,
    deeper: 'kdump-mem log --since -1m',
  },
  'soft-lockup': {
    words: (of: Reported & Partial<Of<'seconds'>>) => [
      `Soft lockup: CPU ${text(of.cpu)} stuck for ${text(of.seconds)} s in ${process(of)}.`,
      ...(/^smp_call_function|^csd_lock/.test(String(of.symbol))
        ? ['It waits for another CPU to answer: that CPU is stuck, or the hypervisor does not run it.']
        : []),
      ...(Number(of.seconds) < SOFT_LOCKUP_SECONDS
        ? [
            `This machine reports it earlier than by default (${SOFT_LOCKUP_SECONDS} s): watchdog_thresh was lowered. A higher value only hides such a stall.`,
          ]
        : []),
    ],
    means:
      'A CPU ran kernel code for longer than 2 × watchdog_thresh (20 s by default) and scheduled no other task. Interrupts were still serviced. Causes: a loop, a contended spinlock, or a host that does not run the virtual CPU.',
    known: 'The watchdog’s line (kernel/watchdog.c; Documentation/admin-guide/lockup-watchdogs.rst).',
    next: STUCK,
    act: (_: Reported, _panicked: boolean, report?: CrashReport) => {
      const foreign = foreignModule(report);
      return foreign === undefined ? STUCK : `${suspectWords(foreign)} ${STUCK}`;
    },
    deeper: 'kdump-mem stacks',
  },
  'hard-lockup': {
    words: (of: Reported) => [
      `Hard lockup: CPU ${text(of.cpu)} stopped servicing interrupts${of.symbol == null ? '' : ` in ${text(of.symbol)}`}.`,
      ...running(of),
    ],
    means:
      'A CPU serviced no interrupt for longer than watchdog_thresh (10 s): it looped with interrupts disabled, or is stuck in firmware or hardware.',
    known:
      'The NMI watchdog or the buddy CPU’s watchdog (kernel/watchdog_perf.c, kernel/watchdog_buddy.c; Documentation/admin-guide/lockup-watchdogs.rst).',
    next: 'Read the stack trace of that CPU. If it shows no cause, check firmware (SMIs) and the hardware log.',
    deeper: 'kdump-mem stacks --cpu N',
  },
  'rcu-stall': {
    words: (of: Reported & Partial<Of<'flavour' | 'cpus', string>>) =>
      `RCU stall: ${of.cpus == null ? 'a CPU' : `CPU ${text(of.cpus).trim().replaceAll(' ', ', ')}`} reported no quiescent state in time (${text(of.flavour)}).`,
    means:
      'A CPU or a task reported no RCU quiescent state in time (default 21 s), so memory queued for RCU is not freed. Causes: a loop in kernel code, a starved CPU, or an RCU kthread that does not run.',
    known: 'The line of kernel/rcu/tree_stall.h (Documentation/RCU/stallwarn.rst).',
    next: 'The lines after it name the CPUs or tasks: read their stacks. If memory grows, check how much is queued for RCU.',
    deeper: 'kdump-mem stacks',
  },
  'hung-task': {
    words: (of: Reported & Partial<Of<'seconds'>>) =>
      `Hung task: ${process(of)} was in uninterruptible sleep (state D) for more than ${text(of.seconds)} s.`,
    means:
      'A task was in uninterruptible sleep (state D) for longer than hung_task_timeout_secs (120 s). It waits for a disk, an NFS server, or a lock that another task holds.',
    known: 'khungtaskd’s line (kernel/hung_task.c; Documentation/admin-guide/sysctl/kernel.rst).',
    next: 'kdump-mem blocked names the lock and its owner. If the lock has no recorded owner, the one task with a different stack often holds it.',
    act: (_: object, panicked: boolean) =>
      panicked
        ? 'Find out from its stack in the log what it waited for: a disk, a server, or the task that owned a lock.'
        : 'Find out what it waits for: a disk, a server, or the task that owns a lock. Killing it does not help: it cannot exit while it waits.',
    deeper: 'kdump-mem blocked -v',
  },
} satisfies Declarations;

/** Out-of-tree (O) and proprietary (P) modules taint the kernel: without them, or without a stack, none is to suspect. */
function oopsAction({ symbol, module }: Oops, panicked = false, report?: CrashReport): string {
  if (isRequestedOops(symbol)) return REQUESTED_ACTION;
  const where = symbol == null ? 'the function at RIP or pc in the log' : text(symbol);
  const first = panicked ? '' : 'If the machine still runs, save its whole log, then restart it soon. ';
  if (module != null && report?.outOfTree.includes(module))
    return `${first}The fault is in ${text(module)}, which is not part of the kernel (out-of-tree): look for a newer version, or report it to its vendor.`;
  const foreign = foreignModule(report);
  if (foreign !== undefined)
    return `${first}${suspectWords(foreign)} Otherwise search the fixes of newer kernels for ${where}.`;
  const isClean =
    report && (report.stack.length === 0 || (report.release !== null && !/[OP]/.test(report.taint ?? '')));
  const suspects = isClean ? '' : ', and suspect out-of-tree modules in the stack trace first';
  return `${first}Search the fixes of newer kernels for ${where}${suspects}.`;
}

function oopsWords(of: Oops, title?: string): Words {
  if (/\.rs:\d+:\d+$/.test(String(of.place)))
    return [`Rust panic at ${text(of.place)}: ${text(title?.replace(/ in \w+$/, ''))}.`, ...running(of)];
  const module = of.module == null ? '' : ` [${text(of.module)}]`;
  const where = of.symbol == null ? '' : ` in ${text(of.symbol)}${module}`;
  // Kernels print a null address as "(null)".
  const [isNull = ''] = /NULL pointer dereference/.exec(title ?? '') ?? [];
  const kind = figuresOf(of, 'trap', 'place', 'kind', 'error') || isNull;
  const what =
    of.address == null || isRequestedOops(of.symbol)
      ? `${isRequestedOops(of.symbol) ? 'Requested crash (SysRq-c): kernel oops' : 'Kernel oops'}${where}${kind === '' ? '' : `: ${kind}`}.`
      : `Kernel oops: invalid memory access at 0x${text(of.address)}${where}.`;
  return [
    what,
    ...running(of),
    ...(isRequestedOops(of.symbol)
      ? [REQUESTED]
      : of.pid == null
        ? []
        : ['The fault is in kernel code; the process need not be the cause.']),
  ];
}
