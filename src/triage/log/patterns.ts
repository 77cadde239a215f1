import type { Severity } from '../../records/triage-codes.js';
import type { FiguresOf, FindingCode } from '../findings/all.js';
import { ADDRESSED, AT, hung, PROGRAM_COUNTER, type Search, type Step, stalled, TRACE } from './blame.js';

/** A title for reports of one family; the first form that fits is used. */
export interface Form {
  /** Pattern of the first line; absent: any line. */
  readonly when?: RegExp;
  /** Patterns of later lines in this order, with other lines between them; the title can use their groups. */
  readonly body?: readonly RegExp[];
  /** Title as in syzbot: `{name}` is a group, `{f}` the function to blame, `{line}` the first line. */
  readonly title: string;
  readonly search?: Search;
  /** A complete report may lack a stack trace. */
  readonly traceless?: true;
  /** The form occurs only in truncated or mixed reports; `alone`: only if no report precedes it. */
  readonly corrupted?: 'always' | 'alone';
}

/** A kernel message about a problem: one line, or the first line of a report. */
interface PatternOf<Code extends FindingCode> {
  readonly code: Code;
  readonly severity: Severity;
  /** Pattern of the first line. Its named groups are figures; those in `numbers` are numbers. */
  readonly line: RegExp;
  readonly numbers?: readonly NumbersOf<FiguresOf<Code>>[];
  /**
   * Findings of one code with equal values of these figures are merged: the last one is reported, with the
   * number of occurrences.
   */
  readonly by: readonly (keyof FiguresOf<Code> & string)[];
  /** The command that shows more. */
  readonly next?: string;
  /** Forms of a report of several lines. */
  readonly forms?: readonly Form[];
  /**
   * Meaning of such a line within a report. `counted`: second line of a fault; `apart`: a separate finding;
   * `part`: nothing more.
   */
  readonly inside?: 'counted' | 'apart' | 'part';
  /** For `counted`: it also occurs in reports other than faults. */
  readonly anywhere?: true;
  /** Its text continues on a line without a prefix. */
  readonly continues?: true;
  /** Releases that print it. */
  readonly kernels: string;
}
/** Names of figures that are numbers. */
type NumbersOf<Of> = { [Name in keyof Of]-?: number extends Of[Name] ? Name : never }[keyof Of & string];
export type Pattern = { readonly [Code in FindingCode]: PatternOf<Code> }[FindingCode];

const PC = String.raw`(?:\[<?(?:0x)?[0-9a-f]+>?\] +)?`;
const F = String.raw`(?<f>[A-Za-z0-9_]+)[.+]`;
const HELD_AT = new RegExp(`\\bat: +${PC}${F}`);

const FAULT: Search = { steps: [PROGRAM_COUNTER, TRACE, 'frames'] };
const COUNTER: Search = { steps: [PROGRAM_COUNTER] };
const TRACED: Search = { steps: [TRACE, 'frames'] };
const STALL: Search = { ...FAULT, pick: stalled };
const KASAN: readonly Step[] = [/KASAN: [a-z -]+ in ([A-Za-z0-9_]+)[.+]/i, TRACE, 'frames'];
const KFENCE: Search = { steps: [/KFENCE: [a-z -]+ in ([A-Za-z0-9_]+)[.+]/, 'frames'] };
const KMSAN: readonly Step[] = ['frames', /Local variable .* created at:|Uninit was created at:/, 'frames'];

function skipping(skip: RegExp, search: Search = TRACED): Search {
  return { ...search, skip };
}

const TRAPPED = new RegExp(`${PROGRAM_COUNTER.source}|--- interrupt: \\d+ at ([A-Za-z0-9_]+)[.+]`);

/**
 * A warning traps since 4.12 and prints registers; before, and on some architectures, there is only a trace.
 */
function warned(skip?: RegExp): Search {
  const ways = { steps: [TRAPPED, 'frames'], otherwise: [TRACE, 'frames'] } as const;
  return skip ? { ...ways, skip } : ways;
}

const fault = (title: string, search = FAULT): readonly Form[] => [{ title, search }];

/** Lockdep's reports: since 4.13 former INFO or BUG lines are warnings. */
const LOCKDEP: readonly Form[] = [
  {
    when: /INFO: (?:possible circular|possible recursive|SOFTIRQ-safe)/,
    body: [/is trying to acquire/, HELD_AT],
    title: 'possible deadlock in {f}',
  },
  {
    when: /possible circular locking dependency detected/,
    body: [/is trying to acquire lock/],
    title: 'possible deadlock in {f}',
    search: { steps: [AT, AT, 'frames'], skip: /process_one_work|flush_workqueue|drain_workqueue|destroy_workqueue/ },
  },
  {
    when: /possible irq lock inversion dependency detected/,
    body: [/just changed the state of lock/, HELD_AT],
    title: 'possible deadlock in {f}',
  },
  {
    when: /-safe -> .*-unsafe lock order detected/,
    title: 'possible deadlock in {f}',
    search: { steps: [/which became .* at:/, 'frames'] },
  },
  {
    when: /possible recursive locking detected/,
    body: [/is trying to acquire lock/, HELD_AT],
    title: 'possible deadlock in {f}',
  },
  { when: /INFO: inconsistent lock state/, body: [/takes/, HELD_AT], title: 'inconsistent lock state in {f}' },
  {
    when: /inconsistent lock state/,
    body: [/takes/, HELD_AT],
    title: 'inconsistent lock state in {f}',
    search: TRACED,
  },
  {
    when: /(?<level>BUG|WARNING): bad (?:unlock balance|contention) detected/,
    title: '{level}: bad unlock balance in {f}',
    search: { steps: [ADDRESSED, TRACE, 'frames'] },
  },
  {
    when: /(?<level>BUG|WARNING): (?:.{0,40} )?(?<what>held lock freed|still has locks held)!/,
    body: [new RegExp(`(?:\\bat: +${PC}|\\[<[0-9a-f]+>\\] +)${F}`)],
    title: '{level}: {what} in {f}',
  },
  {
    when: /(?<level>BUG|WARNING): lock held when returning to user space/,
    body: [/leaving the kernel with locks still held/, HELD_AT],
    title: '{level}: lock held when returning to user space in {f}',
    traceless: true,
  },
  {
    // `rcu_dereference_check()` until 3.1
    when: /(?<level>INFO|WARNING): suspicious (?:RCU|rcu_dereference_check\(\)) usage/,
    body: [/[\w./-]+\.[a-z]+:\d+/],
    title: '{level}: suspicious RCU usage in {f}',
    search: skipping(/rcu|kmem|slab/),
  },
  { when: /Nested lock was not taken/, title: 'WARNING: nested lock was not taken in {f}', search: warned() },
  { when: /Invalid wait context/, title: 'WARNING: locking bug in {f}', search: skipping(/lock_sock|release_sock/) },
  {
    when: /trying to register non-static key/,
    title: 'INFO: trying to register non-static key in {f}',
    search: skipping(/stack|lock|IRQ/),
  },
  { when: /too low!|has not been registered|invalid subclass|key collision/, title: '{line}', traceless: true },
];

/** Warnings by source line: the cause is a caller of the printed function. */
const WARNINGS: readonly Form[] = [
  ...(
    [
      [
        /lib\/debugobjects\.c.* (?:debug_print|debug_check|at)|at lib\/debugobjects\.c/,
        'ODEBUG bug',
        /debug_|rcu|hrtimer_|timer_|work_|percpu_|vunmap|vfree|__free_|debug_check|kobject_/,
      ],
      [/mm\/usercopy\.c/, 'bad usercopy', /usercopy|__check/],
      [/lib\/kobject\.c/, 'kobject bug', /kobject_/],
      [/fs\/proc\/generic\.c/, 'proc registration bug', /proc_/],
      [/lib\/refcount\.c/, 'refcount bug', /refcount|kobject_/],
      [/kernel\/locking\/lockdep\.c.*lock_/, 'locking bug', /lock_sock|release_sock/],
      [/mm\/.*\.c.* k?.?malloc/, 'kmalloc bug', /kmalloc|krealloc|slab|kmem/],
      [/mm\/vmalloc\.c.*__vmalloc_node/, 'zero-size vmalloc', undefined],
    ] as const
  ).map(([when, what, skip]) => ({ when, title: `WARNING: ${what} in {f}`, search: warned(skip) })),
  {
    when: / usb_submit_urb/,
    title: 'WARNING in {f}/usb_submit_urb',
    search: warned(/usb_submit_urb|usb_start_wait_urb|usb_bulk_msg|usb_interrupt_msg|usb_control_msg/),
  },
  { title: 'WARNING in {f}', search: warned() },
];

const WARNING = {
  code: 'kernel-warning',
  severity: 'warning',
  numbers: ['cpu', 'pid'],
  by: ['place'],
  forms: WARNINGS,
} as const;
const OOPS = {
  code: 'oops',
  severity: 'critical',
  by: ['address', 'place', 'kind', 'trap', 'error', 'symbol'],
} as const;
const EXHAUSTED = { code: 'resource-exhausted', severity: 'warning' } as const;
const CORRUPTION = {
  code: 'memory-corruption',
  severity: 'critical',
  by: ['cache', 'what', 'list', 'kasan', 'slab', 'saturated'],
} as const;

/** Messages of kernels 2.6.32 to 7.2, and one of 2.4; the first pattern that matches is used. */
export const PATTERNS: readonly Pattern[] = [
  // kernel/panic.c
  {
    code: 'panic',
    severity: 'critical',
    line: /^Kernel panic - not syncing: (?<reason>.*)$/s,
    by: [],
    inside: 'apart',
    kernels: '2.6.32-',
    forms: [
      {
        when: new RegExp(`Kernel stack is corrupted in: (?![0-9a-f]{8})${F}`),
        title: 'kernel panic: stack is corrupted in {f}',
        traceless: true,
      },
      {
        when: /Kernel stack is corrupted in: /,
        title: 'kernel panic: stack is corrupted in {f}',
        search: skipping(/stack_chk/),
      },
      {
        when: /corrupted stack end detected/,
        title: 'kernel panic: corrupted stack end in {f}',
        search: { ...TRACED, skip: /schedule|retint_kernel/, pick: stalled },
      },
      {
        when: /kernel stack overflow/,
        title: 'kernel stack overflow in {f}',
        search: { ...TRACED, skip: /bad_stack/, pick: stalled },
      },
      {
        when: /(?<what>Attempted to kill init!|Couldn't open N_TTY ldisc|hung_task: blocked tasks)/,
        title: 'kernel panic: {what}',
      },
      { when: /(?<what>Fatal exception|panic_on_warn set)/, title: 'kernel panic: {what}', corrupted: 'alone' },
      { title: 'kernel panic: {reason}' },
    ],
  },
  // Faults: arch/x86/mm/fault.c, arch/arm64/mm/fault.c, arch/powerpc/mm/fault.c, lib/bug.c
  {
    ...OOPS,
    line: /^BUG: (?:unable to handle kernel|kernel) NULL pointer dereference(?:,? (?:at|address:?)(?: virtual address)? (?:0x)?(?<address>[0-9a-f]+))?/i,
    kernels: '2.6.32-',
    forms: fault('BUG: unable to handle kernel NULL pointer dereference in {f}'),
  },
  {
    ...OOPS,
    line: /^BUG: unable to handle (?:kernel paging request|page fault for address|kernel (?:data access|instruction fetch))(?:(?: on \w+)?:?(?: at)?(?: virtual address)? (?:0x)?(?<address>[0-9a-f]+))?/i,
    kernels: '2.6.32-',
    forms: fault('BUG: unable to handle kernel paging request in {f}'),
  },
  {
    ...OOPS,
    line: /^BUG: unable to handle kernel/i,
    kernels: '2.6.32-4.20',
    forms: [{ title: 'BUG: unable to handle kernel', corrupted: 'always' }],
  },
  {
    ...OOPS,
    line: /^(?:CPU \d+ )?Unable to handle kernel (?<kind>.*?)(?: without uaccess routines)?(?: (?:at|in|for) (?:data at |instruction )?(?:virtual )?(?:kernel )?address(?: space)?(?: (?:0x)?(?<address>[0-9a-f]+))?.*)?$/s,
    kernels: '2.6.32-',
    forms: fault('BUG: unable to handle kernel {kind} in {f}'),
  },
  {
    // The printed address is wrong before 5.16.
    ...OOPS,
    line: /^BUG: (?:\w+ )?(?<kind>stack guard page was hit) at /,
    kernels: '4.9-',
    forms: fault('BUG: stack guard page was hit in {f}', STALL),
  },
  {
    ...OOPS,
    line: /^(?<kind>Insufficient stack space to handle exception)!/,
    kernels: '4.14-',
    forms: fault('kernel stack overflow in {f}', { ...TRACED, skip: /bad_stack/, pick: stalled }),
  },
  {
    // Every panic of Rust ends with it.
    ...OOPS,
    line: /^kernel BUG at (?<place>rust\/helpers.*)!$/,
    inside: 'part',
    kernels: '6.1-',
    forms: [{ title: 'kernel BUG in {f}', search: skipping(/^skb_/, FAULT) }],
  },
  {
    ...OOPS,
    line: /^kernel BUG at (?<place>.*)!$/,
    kernels: '2.6.32-',
    forms: [
      { when: /mm\/usercopy\.c/, title: 'BUG: bad usercopy in {f}', search: skipping(/usercopy|__check/) },
      { when: /lib\/list_debug\.c/, title: 'BUG: corrupted list in {f}', search: TRACED },
      { title: 'kernel BUG in {f}', search: skipping(/^skb_/, FAULT) },
    ],
  },
  { ...OOPS, line: /^Kernel BUG (?<place>.*)$/s, kernels: '2.6.32-', forms: [{ title: 'kernel BUG {place}' }] },
  {
    ...OOPS,
    line: /^(?:traps: )?PANIC: (?<trap>double fault)/,
    inside: 'part',
    kernels: '3.16-',
    forms: fault('PANIC: double fault in {f}', COUNTER),
  },
  {
    ...OOPS,
    line: /^(?:kasan: GPF could be caused by .* access)?(?:Oops: )?(?<trap>general protection fault|divide[ _]error|stack segment|int3)\b(?! .* error:\d+ in )[^[]*: /,
    inside: 'counted',
    kernels: '2.6.32-',
    forms: [
      { when: /general protection/, title: 'general protection fault in {f}', search: FAULT },
      { when: /divide/, title: 'divide error in {f}', search: COUNTER },
      { when: /stack segment/, title: 'stack segment fault in {f}', search: FAULT },
      { title: 'int3 in {f}', search: FAULT },
    ],
  },
  {
    ...OOPS,
    line: /^(?:Oops: )?(?<trap>invalid opcode): /,
    inside: 'counted',
    anywhere: true,
    kernels: '2.6.32-',
    forms: fault('invalid opcode in {f}', COUNTER),
  },
  {
    ...OOPS,
    line: /^Internal error: (?<error>.*)$/s,
    inside: 'counted',
    anywhere: true,
    kernels: '2.6.32-',
    forms: fault('Internal error in {f}'),
  },
  {
    // arch/arm/mm/fault.c, arch/arm/mm/alignment.c
    ...OOPS,
    line: /^(?<kind>Unhandled fault|Alignment trap): .*?(?: at (?:0x)?(?<address>[0-9a-f]+))?$/,
    kernels: '2.6.32-',
    forms: fault('{kind} in {f}'),
  },
  {
    ...OOPS,
    line: /^(?:Oops: )?(?<kind>[A-Za-z][\w ,#-]*(?: \([\w -]+\))?): [0-9a-f]{4,16} (?:ilc:\d )?\[#\d+\](?: [A-Z]|$)/,
    inside: 'counted',
    kernels: '2.6.32-',
    forms: fault('{kind} in {f}'),
  },
  {
    ...OOPS,
    line: /^Oops(?: - |: | ?)(?<kind>[^[]*?):? ?\[#\d+\](?::| [A-Z]|$)/,
    inside: 'counted',
    kernels: '2.6.32-',
    forms: [
      { when: /Oops(?: - |: )(?<what>[A-Za-z][\w ,-]+)/, title: 'Oops: {what} in {f}', search: FAULT },
      { title: 'Oops in {f}', search: FAULT },
    ],
  },
  {
    // rust/kernel/lib.rs
    ...OOPS,
    line: /^rust_kernel: panicked at (?<place>[^\n]*?):?$/s,
    kernels: '6.1-',
    continues: true,
    forms: [
      {
        body: [/^(?<what>.+)$/],
        title: '{what} in {f}',
        search: skipping(/__rustc::rust_begin_unwind|rust_begin_unwind/),
      },
    ],
  },
  // kernel/watchdog.c, kernel/rcu/tree_stall.h, kernel/hung_task.c
  {
    code: 'soft-lockup',
    severity: 'critical',
    // Text that was printed without a newline may precede it.
    line: /(?:^|\bwatchdog: )BUG: soft lockup - CPU#(?<cpu>\d+) stuck for (?<seconds>\d+)s! \[(?<comm>.*):(?<pid>\d+)\]/s,
    numbers: ['cpu', 'seconds', 'pid'],
    by: ['cpu', 'pid'],
    next: 'stacks',
    kernels: '2.6.32-',
    forms: fault('BUG: soft lockup in {f}', STALL),
  },
  {
    code: 'hard-lockup',
    severity: 'critical',
    // The CPU that detected it may precede the message, and is not always the CPU that is locked up.
    line: /^(?:NMI )?(?:watchdog: )?(?:CPU\d+: )?(?:BUG: |Watchdog detected )hard LOCKUP on cpu (?<cpu>\d+)/i,
    numbers: ['cpu'],
    by: ['cpu'],
    kernels: '2.6.37-',
    forms: [{ title: 'BUG: hard lockup in {f}', search: FAULT, traceless: true }],
  },
  {
    code: 'hard-lockup',
    severity: 'critical',
    // arch/powerpc/kernel/watchdog.c; arch/x86/kernel/nmi_watchdog of 2.6.32
    line: /^(?:[Ww]atchdog:? (?:CPU[ :]\d+ detected [Hh]ard LOCKUP (?:on )?other CPU[sS]:? ?|BUG: NMI Watchdog detected LOCKUP on CPU ?|CPU[ :](?=\d+ (?:self-detected hard|Hard) LOCKUP))(?<cpu>\d+)(?! \w+ Watchdog)|BUG: NMI Watchdog detected LOCKUP)/,
    numbers: ['cpu'],
    by: ['cpu'],
    kernels: '2.6.32-',
    forms: [{ title: 'BUG: hard lockup in {f}', search: FAULT, traceless: true }],
  },
  {
    // Truncated, or mixed with other lines.
    code: 'soft-lockup',
    severity: 'critical',
    line: /^(?:NMI )?(?:watchdog: )?BUG: soft lockup\b[^\n]*$/,
    by: ['symbol'],
    next: 'stacks',
    kernels: '2.6.32-',
    forms: fault('BUG: soft lockup in {f}', STALL),
  },
  {
    code: 'rcu-stall',
    severity: 'critical',
    line: /^(?:rcu: )?INFO: (?<flavour>rcu_\w+) (?:self-)?detected (?:expedited )?stalls? on(?: [^{]*\{(?<cpus>[\d ]+)\})?/,
    by: ['flavour'],
    kernels: '2.6.32-',
    forms: [
      {
        title: 'INFO: rcu detected stall in {f}',
        search: {
          steps: [/apic_timer_interrupt/, PROGRAM_COUNTER, 'frames'],
          otherwise: [/apic_timer_interrupt|Exception stack|el1h_64_irq/, 'frames'],
          skip: /apic_timer_interrupt|rcu/,
          pick: stalled,
        },
      },
    ],
  },
  {
    code: 'hung-task',
    severity: 'warning',
    line: /^INFO: task (?<comm>.*):(?<pid>\d+) (?:<\w+> )?(?:blocked (?:in I\/O wait )?|can't die )for more than (?<seconds>\d+) seconds\.?/s,
    numbers: ['pid', 'seconds'],
    by: ['comm', 'pid'],
    next: 'stacks --state D',
    kernels: '2.6.32-',
    forms: [
      { when: /can't die/, title: "INFO: task can't die in {f}", search: skipping(/schedule/) },
      { title: 'INFO: task hung in {f}', search: { ...TRACED, pick: hung } },
    ],
  },
  {
    // kernel/workqueue.c
    code: 'workqueue-lockup',
    severity: 'critical',
    line: /^BUG: workqueue lockup(?: - pool (?<pool>.*) stuck for (?<seconds>\d+)s!)?/,
    numbers: ['seconds'],
    by: ['pool'],
    kernels: '4.5-',
    forms: [{ title: 'BUG: workqueue lockup', traceless: true }],
  },
  // mm/kasan, mm/kfence, mm/kmsan, kernel/kcsan, lib/ubsan.c, mm/kmemleak.c
  {
    ...CORRUPTION,
    line: /^BUG: (?<kasan>KAS[Aa][Nn]: .*)$/s,
    kernels: '4.0-',
    forms: [
      {
        when: /KAS[Aa][Nn]: (?<kind>[a-z][a-z -]*?) in [A-Za-z0-9_]+[.+]/,
        body: [/(?<access>Read|Write) (?:of size|at addr) [0-9a-f]/],
        title: 'KASAN: {kind} {access} in {f}',
        search: { steps: KASAN, skip: /kernel_fault|tag_check|mem_abort|^el1_|^el1h_/ },
      },
      {
        when: /KASAN: (?:double-free or invalid-free|double-free|invalid-free) in [A-Za-z0-9_]+[.+]/,
        title: 'KASAN: invalid-free in {f}',
        search: { steps: KASAN, skip: /slab_|kfree|vunmap|vfree/ },
      },
      {
        when: /KASAN: (?<kind>[a-z-]+) on address/,
        body: [/(?<access>Read|Write) of size \d+/],
        title: 'KASAN: {kind} {access}',
      },
      { when: /KAS[Aa][Nn]: (?<what>.*)/s, title: 'KASAN: {what}', corrupted: 'always' },
    ],
  },
  {
    ...CORRUPTION,
    line: /^BUG: (?<kasan>KFENCE: .*)$/s,
    kernels: '5.12-',
    forms: [
      {
        when: /KFENCE: (?<what>(?:use-after-free|out-of-bounds|invalid) (?:read|write)) in /,
        title: 'KFENCE: {what} in {f}',
        search: KFENCE,
      },
      {
        when: /KFENCE: (?<what>invalid free|memory corruption) in /,
        title: 'KFENCE: {what} in {f}',
        search: KFENCE,
        traceless: true,
      },
    ],
  },
  {
    code: 'uninitialized-value',
    severity: 'warning',
    line: /^BUG: KMSAN: (?<kind>[a-z-]+)(?: in |$)/,
    by: ['kind', 'symbol'],
    kernels: '6.1-',
    forms: [
      {
        when: /usb-infoleak/,
        title: 'KMSAN: {kind} in {f}',
        search: {
          steps: KMSAN,
          skip: /alloc_skb|usb_submit_urb|usb_start_wait_urb|usb_bulk_msg|usb_interrupt_msg|usb_control_msg/,
        },
        traceless: true,
      },
      {
        title: 'KMSAN: {kind} in {f}',
        search: { steps: KMSAN, skip: /alloc_skb|netlink_ack|netlink_rcv_skb|_encrypt$|^(?:crypto|cipher|drbg|rng)_/ },
        traceless: true,
      },
    ],
  },
  {
    code: 'data-race',
    severity: 'warning',
    line: /^BUG: KCSAN: (?<what>.*)$/,
    by: ['what'],
    kernels: '5.8-',
    forms: [{ title: 'KCSAN: {what}', traceless: true }],
  },
  {
    code: 'undefined-behavior',
    severity: 'warning',
    line: /^UBSAN: (?<what>.*?) in (?<place>[^ ]+)/,
    by: ['place'],
    kernels: '4.5-',
    forms: [
      { when: /Undefined behaviour/, title: 'UBSAN: undefined-behaviour in {f}', search: skipping(/ubsan|overflow/) },
      { title: 'UBSAN: {what} in {f}', search: skipping(/ubsan|overflow/) },
    ],
  },
  {
    code: 'memory-leak',
    severity: 'warning',
    line: /^(?:BUG: memory leak|unreferenced object 0x(?<address>[0-9a-f]+) \(size (?<bytes>\d+)\):)$/,
    numbers: ['bytes'],
    by: ['symbol'],
    inside: 'part',
    kernels: '2.6.32-',
    forms: [
      {
        title: 'memory leak in {f}',
        search: {
          steps: [/backtrace(?: \(crc [0-9a-f]*\))?:/, 'frames'],
          skip: /kmemleak|mmap|kmem|slab|alloc|create_object|idr_get|list_lru_init|kasprintf|kvasprintf|pcpu_create|strdup|strndup|memdup/,
        },
      },
    ],
  },
  {
    code: 'memory-leak',
    severity: 'warning',
    line: /^kmemleak: (?<count>\d+) new suspected memory leaks/,
    numbers: ['count'],
    by: [],
    kernels: '2.6.32-',
  },
  // mm/vmalloc.c, mm/percpu.c, mm/slub.c, fs/xfs/kmem.c, mm/util.c: no memory report follows
  {
    code: 'allocation-failure',
    severity: 'warning',
    line: /^(?:(?<what>vmap allocation for size \d+ failed)|(?<percpu>percpu: allocation failed, size=\d+ .*)|(?<xfs>XFS.* possible memory allocation deadlock .*)|(?<zram>zram: Error allocating memory for compressed page.*)|(?<overcommit>__vm_enough_memory: pid: \d+, comm: .*not enough memory for the allocation))/s,
    by: ['what', 'percpu', 'xfs', 'zram', 'overcommit'],
    next: 'memory --nodes',
    kernels: '2.6.32-',
  },
  {
    code: 'allocation-failure',
    severity: 'warning',
    line: /^__alloc_pages: (?<order>\d{1,2})-order allocation failed/,
    numbers: ['order'],
    by: ['order'],
    next: 'memory --nodes',
    kernels: '2.4',
  },
  {
    code: 'allocation-failure',
    severity: 'warning',
    line: /^(?<slab>SLUB: Unable to allocate memory on .*)/s,
    by: ['slab'],
    next: 'memory --nodes',
    kernels: '2.6.32-',
    forms: [
      { body: [/^cache: (?<cache>[^,(]+)/], title: 'SLUB: no memory for cache {cache}', traceless: true },
      { title: '{line}', traceless: true },
    ],
  },
  {
    // The SPL of ZFS, outside the kernel
    code: 'allocation-failure',
    severity: 'warning',
    line: /^(?<spl>Possible memory allocation deadlock: size=\d+)/,
    by: ['spl', 'symbol'],
    next: 'memory --nodes',
    kernels: '2.6.32-',
    forms: fault('memory allocation deadlock in {f}', skipping(/^spl_|alloc/)),
  },
  // kernel/time/clocksource.c; before 4.0: `Clocksource tsc unstable (delta = …)`
  {
    code: 'clock-unstable',
    severity: 'note',
    line: /^(?:clocksource: )?(?:timekeeping watchdog(?: on CPU\d+)?: Marking clocksource '(?<clocksource>[\w-]+)' as unstable|Clocksource (?<old>[\w-]+) unstable \(delta)/,
    by: ['clocksource', 'old'],
    kernels: '2.6.32-',
  },
  // kernel/locking/lockdep.c
  {
    code: 'lockdep',
    severity: 'warning',
    line: /^(?:\[ )?(?:BUG|WARNING|INFO): (?<what>possible (?:circular locking|recursive locking|irq lock inversion)(?: dependency)? detected|\S+-safe -> \S+-unsafe lock order detected|inconsistent lock state|bad unlock balance detected!|bad contention detected!|held lock freed!|.*still has locks held!|lock held when returning to user space!|suspicious (?:RCU|rcu_dereference_check\(\)) usage|chain key collision|Nested lock was not taken|Invalid wait context|trying to register non-static key|MAX_\w+ too low!|key .* has not been registered!|looking up invalid subclass.*)/,
    by: ['what', 'symbol'],
    kernels: '2.6.32-',
    forms: LOCKDEP,
  },
  {
    // kernel/locking/spinlock_debug.c
    code: 'spinlock-bug',
    severity: 'critical',
    line: /^BUG: (?<lock>spinlock|rwlock) (?<what>lockup(?: suspected)?|already unlocked|(?:cpu )?recursion|bad magic|wrong owner|wrong CPU|uninitialized|trylock failure on UP)/,
    by: ['lock', 'what', 'symbol'],
    kernels: '2.6.32-',
    forms: fault('BUG: {lock} {what} in {f}', skipping(/spin_|_lock|_unlock/)),
  },
  // kernel/sched/core.c, lib/smp_processor_id.c, kernel/workqueue.c
  {
    code: 'atomic-sleep',
    severity: 'warning',
    line: /^BUG: (?<what>sleeping function called from invalid context) at (?<place>[^ ]+)/,
    by: ['place', 'symbol'],
    kernels: '2.6.32-',
    forms: fault('BUG: {what} in {f}', TRACED),
  },
  {
    code: 'atomic-sleep',
    severity: 'warning',
    line: /^BUG: (?<what>scheduling while atomic)/,
    by: ['what', 'symbol'],
    kernels: '2.6.32-',
    forms: fault('BUG: {what} in {f}', skipping(/schedule/)),
  },
  {
    code: 'atomic-sleep',
    severity: 'warning',
    line: /^BUG: (?<what>using [a-z_]+\(\) in preemptible)/,
    by: ['what', 'symbol'],
    kernels: '2.6.32-',
    forms: fault('BUG: {what} code in {f}', skipping(/dump_stack|preemption|preempt|debug_|processor_id|this_cpu/)),
  },
  {
    code: 'atomic-sleep',
    severity: 'warning',
    line: /^BUG: (?<what>workqueue leaked (?:lock or atomic|atomic, lock or RCU))/,
    by: ['what', 'symbol'],
    kernels: '2.6.32-',
    forms: [
      {
        body: [/last function: (?<f>[A-Za-z0-9_]+)/],
        title: 'BUG: workqueue leaked lock or atomic in {f}',
        traceless: true,
      },
    ],
  },
  // mm/slub.c, mm/page_alloc.c, mm/memory.c, fs/dcache.c
  {
    // The cache was destroyed by a module or cgroup that did not free all objects: they are intact.
    code: 'memory-leak',
    severity: 'warning',
    line: /^BUG (?<cache>[^ ]+) \(.*\): (?<what>Objects remaining ).*$/s,
    by: ['cache'],
    kernels: '2.6.32-',
    forms: [{ title: 'BUG: Objects remaining in {cache}', traceless: true }],
  },
  {
    ...CORRUPTION,
    line: /^BUG (?<cache>[^ ]+) \(.*\): (?<what>.*)$/s,
    kernels: '2.6.32-',
    forms: [{ title: 'BUG: {what}' }],
  },
  {
    ...CORRUPTION,
    line: /^BUG: (?<kasan>Bad page (?<what>state|cache)(?<process>.*))$/s,
    kernels: '2.6.32-',
    forms: [
      {
        title: 'BUG: Bad page {what} in {f}',
        search: {
          steps: [/page last allocated/, 'frames'],
          otherwise: [TRACE, 'frames'],
          skip: /bad_page|(?:check|prep)_new_page|get_page_from|rmqueue|free_\w*page|(?:free|put|get|update|release)_page|free_unref|^_*folio|truncate_inode_pages|page_frag_free|alloc|vmap|page_owner/,
        },
      },
    ],
  },
  {
    ...CORRUPTION,
    line: /^BUG: (?<kasan>(?<what>Bad page map|Bad rss-counter state|non-zero (?:nr_ptes|nr_pmds|pgtables_bytes) on freeing mm).*)$/s,
    kernels: '2.6.32-',
    forms: [{ title: 'BUG: {what}', traceless: true }],
  },
  {
    ...CORRUPTION,
    line: /^(?:(?<list>list_(?:add|del) corruption.*)|slab error in (?<slab>.*)|(?<saturated>refcount_t: .*))$/s,
    kernels: '2.6.32-',
  },
  {
    // mm/swapfile.c: a page table contains an invalid swap entry
    ...CORRUPTION,
    line: /^\w+: (?<what>(?:Bad|Unused) swap (?:file|offset) entry) /,
    kernels: '2.6.32-',
  },
  {
    ...CORRUPTION,
    line: /^INFO: (?<what>(?:Freed|Allocated) in .*)$/,
    inside: 'part',
    kernels: '2.6.32-5.13',
    forms: [{ title: 'INFO: {what}', corrupted: 'always' }],
  },
  {
    ...CORRUPTION,
    line: /^(?<what>VFS: (?:Close: file count is (?:0|zero)|Busy inodes after unmount)).*$/,
    kernels: '2.6.32-',
    forms: [
      { when: /Close/, title: 'VFS: Close: file count is zero (use-after-free)', traceless: true },
      { title: 'VFS: Busy inodes after unmount (use-after-free)', traceless: true },
    ],
  },
  {
    code: 'kernel-warning',
    severity: 'warning',
    line: /^BUG: Dentry .* still in use/,
    by: ['what'],
    kernels: '2.6.32-',
    forms: [{ when: /still in use \(\d+\) +\[(?<what>unmount) of /, title: 'BUG: Dentry still in use in {what}' }],
  },
  {
    // net/core/dev.c
    code: 'kernel-warning',
    severity: 'warning',
    line: /^unregister_netdevice: waiting for (?<device>.*) to become free/,
    by: ['device'],
    inside: 'apart',
    kernels: '2.6.32-',
    forms: [{ title: 'unregister_netdevice: waiting for DEV to become free', traceless: true }],
  },
  // WARN_ON: kernel/panic.c
  {
    ...WARNING,
    line: /^WARNING: CPU: (?<cpu>\d+) PID: (?<pid>\d+) at (?<place>[^ ]+:\d+)(?: (?<symbol>[^+ ]+)\+)?/,
    kernels: '3.11-6.18',
  },
  {
    ...WARNING,
    line: /^WARNING: (?:\[.*\] )?(?<place>[^ ]+:\d+) at (?:(?<symbol>[^+ ]+)\+|0x[0-9a-f]+)/,
    kernels: '6.19-',
  },
  {
    ...WARNING,
    // ppc: `Badness at`
    line: /^(?:WARNING:|Badness) at (?<place>[^ ]+:\d+)(?: (?<symbol>[^+ ]+)\+)?/,
    kernels: '2.6.32-3.10',
  },
  {
    // arch/x86/kernel/unwind_frame.c
    code: 'kernel-warning',
    severity: 'note',
    line: /^WARNING: (?<what>kernel stack (?:regs|frame pointer) )/,
    by: ['what'],
    kernels: '4.9-',
    forms: [
      {
        when: /kernel stack regs at [0-9a-f]+ in [^ ]* has bad '(?<value>[^']+)' value/,
        title: "WARNING: kernel stack regs has bad '{value}' value",
        traceless: true,
      },
      {
        when: /kernel stack frame pointer at [0-9a-f]+ in [^ ]* has bad value/,
        title: 'WARNING: kernel stack frame pointer has bad value',
        traceless: true,
      },
      { title: 'WARNING: kernel stack regs has bad value', traceless: true },
    ],
  },
  {
    code: 'hardware-error',
    severity: 'warning',
    line: /^(?:mce: )?\[Hardware Error\]: (?<what>Machine check events logged|(?:Corrected|Deferred) error, no action required)/,
    kernels: '2.6.32-',
    by: ['what'],
  },
  {
    code: 'hardware-error',
    severity: 'critical',
    // Other lines are details of the previous one, or explain how to decode it (print_mce, amd_decode_mce).
    line: /^(?:mce: )?\[Hardware Error\]: (?!RIP |TSC |PROCESSOR |PPIN|Run the above |CPU:\d+ \(|Error Addr|IPID|cache level: )(?<what>.*)$/s,
    kernels: '2.6.32-',
    by: [],
  },
  {
    // Errors from firmware (drivers/firmware/efi/cper.c); a number precedes them.
    code: 'hardware-error',
    severity: 'warning',
    line: /^\{\d+\}\[Hardware Error\]: event severity: (?<kind>corrected|info)$/,
    kernels: '2.6.32-',
    by: ['kind'],
  },
  {
    code: 'hardware-error',
    severity: 'critical',
    line: /^\{\d+\}\[Hardware Error\]: event severity: (?<kind>.*)$/s,
    kernels: '2.6.32-',
    by: ['kind'],
  },
  {
    code: 'hardware-error',
    severity: 'warning',
    line: /^EDAC .*: (?<count>\d+) (?<kind>CE|UE) /s,
    numbers: ['count'],
    kernels: '2.6.32-',
    by: ['kind'],
  },
  {
    // mm/memory-failure.c; arch/x86/kernel/nmi.c, arch/arm64/kernel/traps.c; drivers/pci/pcie/aer.c
    code: 'hardware-error',
    severity: 'warning',
    line: /^(?:MCE |Memory failure: )0x(?<frame>[0-9a-f]+): (?<what>recovery action for .*|unhandlable page.*|.* page recovery: .*)$/,
    kernels: '2.6.32-',
    by: ['what'],
  },
  {
    code: 'hardware-error',
    severity: 'critical',
    line: /^(?<what>SError Interrupt) on CPU(?<cpu>\d+), code (?<kind>\S+)/,
    numbers: ['cpu'],
    kernels: '4.10-',
    by: ['what'],
    forms: fault('SError Interrupt in {f}'),
  },
  {
    code: 'hardware-error',
    severity: 'critical',
    line: /^NMI: (?<error>(?:PCI system error \(SERR\)|IOCK error|memory parity error).*) for reason \w+ on CPU (?<on>\d+)\.?/,
    numbers: ['on'],
    kernels: '2.6.37-',
    by: ['error'],
  },
  {
    code: 'hardware-error',
    severity: 'warning',
    line: /^\w+ (?<device>[0-9a-f:.]+): (?:AER: )?(?:PCIe Bus Error: severity=)?(?<kind>Uncorrected \((?:Non-)?Fatal\))(?: error received|, type=)/,
    kernels: '2.6.32-',
    by: ['device', 'kind'],
  },
  {
    code: 'network-memory',
    severity: 'warning',
    line: /^(?:(?<protocol>TCP): (?<what>out of memory|too many orphaned sockets).*|(?<sockets>Out of socket memory)|nf_conntrack: (?:nf_conntrack: )?(?<table>table full).*|(?:(?:neighbour|Neighbour|[Ii][Pp]v4): )?(?<neighbours>(?:.* table|Neighbour table) overflow).*|(?:IPv4: )?(?<routes>dst cache overflow|Route cache is full).*|(?<files>VFS: file-max limit) .*)$/s,
    kernels: '2.6.32-',
    by: ['protocol', 'what', 'sockets', 'table', 'neighbours', 'routes', 'files'],
  },
  // Pools and limits: kernel/cgroup/pids.c, kernel/audit.c, mm/cma.c, drivers/gpu/drm, kernel/dma/swiotlb.c, mm/hugetlb.c
  {
    ...EXHAUSTED,
    line: /^cgroup: fork rejected by (?<resource>pids) controller in (?<cgroup>.*)$/s,
    by: ['resource', 'cgroup'],
    kernels: '4.5-',
  },
  {
    ...EXHAUSTED,
    line: /^(?<resource>audit): (?:backlog limit exceeded|audit_backlog=\d+ > audit_backlog_limit=(?<limit>\d+)|audit_lost=(?<lost>\d+) )/,
    numbers: ['limit', 'lost'],
    by: ['resource'],
    kernels: '2.6.32-',
  },
  {
    ...EXHAUSTED,
    line: /^(?:(?<resource>cma)|cma_alloc)(?:: cma_alloc)?: .*alloc failed, req-size: (?<pages>\d+) pages, ret: (?<error>-\d+)/,
    numbers: ['pages', 'error'],
    by: ['error'],
    kernels: '3.5-',
  },
  {
    ...EXHAUSTED,
    line: /^\[drm(?::\w+ \[(?<device>\w+)\])?\] \*ERROR\* Failed to allocate from (?<resource>CMA)/,
    by: ['resource', 'device'],
    kernels: '4.4-',
  },
  {
    ...EXHAUSTED,
    line: /^(?<device>\S+ \S+): (?<resource>swiotlb) buffer is full(?: \(sz: (?<requestedBytes>\d+) bytes\))?(?:, total (?<slots>\d+) \(slots\), used (?<used>\d+) \(slots\))?/,
    numbers: ['requestedBytes', 'slots', 'used'],
    by: ['resource', 'device'],
    kernels: '2.6.32-',
  },
  {
    // arch/arm/mm/dma-mapping.c, arch/arm64/mm/dma-mapping.c
    ...EXHAUSTED,
    line: /^ERROR: (?<poolKib>\d+) KiB (?<resource>atomic DMA coherent pool) is too small!/,
    numbers: ['poolKib'],
    by: ['resource'],
    kernels: '3.6-5.7',
  },
  {
    ...EXHAUSTED,
    line: /^PID (?<pid>\d+) killed due to inadequate (?<resource>hugepage) pool/,
    numbers: ['pid'],
    by: ['resource'],
    kernels: '2.6.32-',
  },
  {
    ...EXHAUSTED,
    line: /^(?<resource>HugeTLB): allocating (?<wanted>\d+) of page size .* failed.*Only allocated (?<got>\d+) /,
    numbers: ['wanted', 'got'],
    by: ['resource', 'wanted'],
    kernels: '4.16-',
  },
  {
    ...EXHAUSTED,
    line: /^(?:virtio_|xen[:_]|hv_|vmw_)(?<resource>balloon)(?: \S+)?: (?<what>Out of puff!.*|Cannot add additional memory.*|.*add_memory.* failed.*|(?:Memory hot add|hot_add memory) failed.*|.*partially fulfilled.*)$/,
    by: ['resource', 'what'],
    kernels: '2.6.32-',
  },
  {
    ...EXHAUSTED,
    // Since 6.13 the device precedes it.
    line: /^(?:(?<card>\w+ [\da-f.:]{7,16}): (?:\w+: )?)?\[(?:(?<resource>TTM)|drm(?::\w+ \[(?<device>\w+)\])?)\] (?:\*ERROR\* )?(?<what>Buffer eviction failed|Out of kernel memory|Not enough memory for command submission)/,
    by: ['what', 'device', 'card'],
    kernels: '3.0-',
  },
  {
    // The driver of NVIDIA, outside the kernel: some numbers are faults of a program.
    code: 'hardware-error',
    severity: 'warning',
    line: /^NVRM: (?<what>Xid) \((?<device>[^)]*)\): (?<kind>\d+), (?<error>.*)$/s,
    by: ['what', 'device', 'kind'],
    kernels: '2.6.32-',
  },
  {
    // Without a GPU that answers there is no Xid.
    code: 'hardware-error',
    severity: 'critical',
    line: /^(?<driver>NVRM): (?:.*\bNVRM: )?(?:GPU (?:at PCI:)?(?<device>[\da-f]{4,8}:[\da-f:.]+): )?(?:GPU has )?(?<what>fallen off the bus)/s,
    by: ['what', 'device'],
    kernels: '2.6.32-',
  },
  {
    // Images, empty drives, and unplugged devices: no disk that the machine needs.
    code: 'file-system-error',
    severity: 'note',
    line: /^(?:(?<system>EXT4-fs|XFS|BTRFS):? (?:(?:error|critical)[^(]*\((?:device )?(?:loop|nbd|ram)\d+\)|\((?:loop|nbd|ram)\d+\): (?:Corruption|Internal error|Metadata corruption|metadata I\/O error|log I\/O error)).*|(?:\w+: )?(?<io>I\/O error), dev (?:loop|fd|sr|nbd|ram)\d+, .*|Buffer I\/O error on dev(?:ice)? (?<device>(?:loop|fd|sr|nbd|ram)\d+), .*)$/,
    kernels: '2.6.32-',
    by: ['system', 'io', 'device'],
  },
  {
    // fs/jbd2/journal.c, fs/xfs/xfs_fsops.c, net/sunrpc, fs/lockd; mm/page_io.c; drivers/nvme
    code: 'file-system-error',
    severity: 'warning',
    line: /^(?:(?<journal>Aborting journal on device \S+?)\.?|(?<journalErrors>JBD2: Detected IO errors .*)|(?<shutdown>XFS \(\S+\): .*(?:force_shutdown|[Ss]hutting down filesystem|Filesystem has been shut down).*)|EXT4-fs \((?<readOnly>\S+)\): Remounting filesystem read-only|(?:nfs|lockd): server (?<server>\S+) not responding, .*|(?<swap>(?:Read|Write)-error on swap-device \([\d:]+\).*)|nvme (?<controller>\w+): (?:I\/O (?:tag )?\d+.* timeout, .*|controller is down; .*))$/,
    kernels: '2.6.32-',
    by: ['journal', 'shutdown', 'readOnly', 'server', 'controller'],
  },
  {
    code: 'file-system-error',
    severity: 'warning',
    line: /^(?:(?<system>EXT4-fs|XFS|BTRFS):? (?:error|critical|\([^)]*\): (?:Corruption|Internal error|Metadata corruption|metadata I\/O error|log I\/O error)).*|(?:\w+: )?(?<io>(?:I\/O|timeout|critical [\w ]+|recoverable transport|protection) error, dev \S+), sector \d+.*|Buffer I\/O error on dev (?<device>\S+),.*)$/s,
    kernels: '2.6.32-',
    by: ['system', 'io', 'device'],
  },
  {
    // drivers/trusty of Android: output of the secure world
    ...OOPS,
    line: /^trusty: panic (?<place>\(.*?\)?):? /,
    kernels: '4.14-',
    forms: [
      {
        when: /: (?:DEBUG )?ASSERT FAILED at \(.*?\): (?<what>.+)$/,
        title: 'trusty: ASSERT FAILED: {what}',
        traceless: true,
      },
      { when: /ASSERT FAILED/, title: 'trusty: ASSERT FAILED:', corrupted: 'always' },
      { when: /\(.*?\): (?<what>.+)$/, title: 'trusty: panic: {what}', traceless: true },
    ],
  },
  {
    // kernel/irq/spurious.c, net/sched/sch_generic.c, kernel/workqueue.c
    code: 'kernel-warning',
    severity: 'note',
    line: /^(?<what>irq \d+: nobody cared|NETDEV WATCHDOG: .* timed out|workqueue: \S+ hogged CPU)/,
    by: ['what'],
    inside: 'part',
    kernels: '2.6.32-',
  },
  // Other messages that begin with `BUG: `: nothing more is known.
  {
    code: 'kernel-warning',
    severity: 'warning',
    line: /^(?:\[ )?(?<what>BUG: .*)$/s,
    by: ['what'],
    kernels: '2.6.32-',
    forms: [{ title: '{what}', traceless: true }],
  },
  {
    code: 'kernel-warning',
    severity: 'note',
    line: /^(?:[a-z][\w-]* [\w:.-]+: )?(?<what>WARNING: (?!lockdep|\/etc\/|Unprivileged eBPF|See https|[Tt]he mand mount|workqueue cpumask:|kernel not compiled with|Unsupported flag value|fbcon: Driver).*)$/s,
    by: ['what'],
    kernels: '2.6.32-',
    forms: [{ title: '{what}', traceless: true }],
  },
  {
    // Its text was printed separately, with other lines in between.
    code: 'kernel-warning',
    severity: 'warning',
    line: /^(?<what>BUG|WARNING|INFO):$/,
    by: ['what'],
    kernels: '2.6.32-',
    forms: [{ title: '{what}: corrupted', corrupted: 'always' }],
  },
];

/**
 * Lines that end a report, or a header of pstore: each proves a report whose first lines the log lacks. They are
 * findings only if no report of their code precedes them.
 */
export const TAILS: readonly Pattern[] = [
  {
    code: 'panic',
    severity: 'critical',
    line: /^---\[ end Kernel panic - not syncing: (?<reason>.*?)(?: \]-*)?$/s,
    by: [],
    kernels: '2.6.32-',
    forms: [{ title: 'kernel panic: {reason}', corrupted: 'always' }],
  },
  {
    // pstore_dump, fs/pstore/platform.c
    code: 'panic',
    severity: 'critical',
    line: /^Panic#\d{1,9} Part\d{1,9}$/,
    by: [],
    kernels: '2.6.39-',
    forms: [{ title: 'kernel panic', corrupted: 'always' }],
  },
  {
    // __die, arch/x86/kernel/dumpstack.c
    ...OOPS,
    line: /^(?:EIP: |RIP {1,2})\[<[0-9a-f]+>\] (?<symbol>[\w.]+)\+0x[0-9a-f]+\/0x[0-9a-f]+(?: \[(?<module>\w+)\])?/,
    kernels: '2.6.32-4.15',
    forms: [{ title: 'kernel oops in {symbol}', corrupted: 'always' }],
  },
  {
    ...OOPS,
    line: /^Oops#\d{1,9} Part\d{1,9}$/,
    kernels: '2.6.39-',
    forms: [{ title: 'kernel oops', corrupted: 'always' }],
  },
  {
    // oops_exit, __warn: kernel/panic.c
    ...WARNING,
    line: /^---\[ end trace [0-9a-f]+ \]---/,
    kernels: '2.6.32-',
    forms: [{ title: 'Kernel warning or oops: the log has only the end of its report', corrupted: 'always' }],
  },
];
