import type { Corruption } from '../../contracts/log-reports.js';

/**
 * Finds the function that a report is about. The function that detected a problem is seldom its cause.
 * Functions that check, allocate, lock, copy, print or wait on behalf of others are skipped, as in syzbot's
 * titles.
 */

/** A step through the lines of a report: to the next matching line, or over the frames of a stack trace. */
export type Step = RegExp | 'frames';

export interface Search {
  readonly steps: readonly Step[];
  /** Steps to use if the first ones find nothing. */
  readonly otherwise?: readonly Step[];
  readonly skip?: RegExp;
  readonly pick?: (frames: readonly string[]) => string | undefined;
}

const PC = String.raw`\[<?(?:0x)?[0-9a-f]+>?\]`;
/**
 * A function as printed by the kernel or by `scripts/decode_stacktrace.sh`; the first ppc64 ABI adds a dot
 * before it.
 */
const NAME = String.raw`\.?([A-Za-z_]\w*)(?:[.+]| \((?:[\w./-]+:\d+|\?\?:))`;

/** `at: f+0x1/0x2`, with an address before it up to 4.10. */
export const AT = new RegExp(`\\bat: +(?:${PC} +)?${NAME}`);
/** A function after its address. */
export const ADDRESSED = new RegExp(`${PC} +${NAME}`);
export const TRACE = /Call [Tt]race:|Backtrace:/;
/** First lines of other stack traces that no line announces: of lockdep, and of 32-bit arm. */
const UNANNOUNCED: readonly RegExp[] = [/stack backtrace:/, /^(?:\[<[0-9a-f]+>\] )?\(?unwind_backtrace\b/];

/** Program counter of the CPU: x86, ppc, arm, arm64, mips, riscv, s390, sparc. */
export const PROGRAM_COUNTER = new RegExp(
  [
    `(?:IP|NIP|pc |PC is at|EIP is at|epc *|ERA|badaddr|I7):? (?:\\d+:)?(?:(?:${PC}|[0-9a-f]{8,16}|<[0-9a-f]{8,16}>) +){0,2}<?${NAME}`,
    `Krnl PSW : [0-9a-f]+ [0-9a-f]+ \\(${NAME}`,
    String.raw`(?:IP|NIP|pc |PC is at):? (?:(?:\d+:)?0x[0-9a-f]+|(?:\d+:)?${PC} +\[< *\(null\)>\] +\(null\)|\d+: +\(null\))`,
  ].join('|'),
);

const FRAMES: readonly RegExp[] = [
  new RegExp(`^\\(?(?:${PC} ){0,2}${NAME}`),
  // 32-bit arm prints caller and callee; without addresses since 5.19.
  new RegExp(`^${PC} \\((\\w+)(?:[.+][^)]*)?\\) from ${PC} \\(${NAME}`),
  /^([A-Za-z0-9_]+)(?:\.\S+)? from ([A-Za-z0-9_]+)[.+]/,
];

/** First lines of another stack trace. */
const STARTS: readonly RegExp[] = [
  /Call [Tt]race/,
  /Allocated(?: by task \d+(?: on cpu \d+ at [\d.]+s)?)?:/,
  /Freed(?: by task \d+(?: on cpu \d+ at [\d.]+s)?)?:/,
  /(?:^|[^k ]) ?backtrace(?: \(crc [0-9a-f]*\))?:/,
  /Backtrace:/,
  /Uninit was stored to memory at/,
];

/** On riscv, registers are followed by a stack trace that no line announces. */
const RISCV_REGISTERS = /status: [0-9a-f]{16} badaddr: [0-9a-f]{16} cause: [0-9a-f]{16}/;

/** Stack traces of injected failures are often mixed into others. */
const INJECTED = /^(?:\[<?(?:0x)?[0-9a-f]+>?\] )?should_fail(?:slab)?(?:\.[a-z0-9.]+)?\+0x/;

const words = (text: string): string[] => text.trim().split(/\s+/);

/** Functions that are never the cause; each is a part of a name, or with ^ and $ all of it. */
const HELPERS = new RegExp(
  [
    // Sanitizers, and functions that report.
    ...words(String.raw`__sanitizer __asan kasan hwasan __msan kmsan kcsan_setup_watchpoint check_memory_region
      check_heap_object check_object read_word_at_a_time (?:read|write)_once_.*nocheck print_address_description
      (?:^|_)v?panic(?:_|$) invalid_op report_bug fixup_bug print_report print_usage_bug do_error _trap$|do_trap show_stack
      dump_stack walk_stack dump_backtrace unwind_backtrace warn_slowpath warn_alloc warn_bogus __warn get_taint$ print_tainted
      stack_trace_consume_entry arch_stack_walk stack_trace_save assertfail __fortify_report ref_tracker
      print_hex_dump hex_dump_to_buffer perf_trace _indirect_thunk_ program_check_exception program_check_common`),
    // Entry points of faults.
    ...words(String.raw`do_(?:kernel|translation)_fault do_mem_abort el1_abort el1h_64_sync(?:_handler)?`),
    // Allocators and the page cache.
    ...words(String.raw`alloc_page k?v?(?:m|z|c)alloc krealloc kmem_cache allocate_slab
      __alloc_frozen_pages_noprof folio_(?:alloc|unlock) filemap_alloc_folio __filemap_get_folio
      find_or_create_page do_read_cache_folio read_cache_page pagecache_get_page grab_cache_page_write_begin
      slab_ ^kv?free$ kfree_skb find_lock_entries truncate_inode_pages_range __phys_addr mark_buffer_dirty
      ^(?:un)?lock_page`),
    // Locks and lockdep.
    ...words(String.raw`print_unlock imbalance_bug lockdep bh_enable bh_disable lock_acquire lock_release
      lock_class mark_lock (?:reacquire|mark)_held_locks raw_spin_rq spin_lock spin_trylock spin_unlock
      read_lock read_trylock write_lock write_trylock read_unlock write_unlock ^down$ down_read down_write
      down_trylock up_read up_write ^mutex_ ^__mutex_ ^rt_mutex_ owner_on_cpu osq_lock osq_unlock seqprop_assert
      (?:trace|lockdep)_(?:hard|soft)irq cleanup_srcu_struct lock_timer_base`),
    // Debug objects, counters, bits, lists, trees.
    ...words(String.raw`debug_object timer_is_static_object work_is_static_object
      atomic(?:64)?_(?:dec|inc|read|set|or|xor|and|add|sub|fetch|xchg|cmpxchg|try) (?:set|clear|change|test)_bit
      ^refcount_ ^kref_ list_add list_del list_replace list_move list_splice ^rb_ ^__rb_ ^klist_
      xas_(?:start|load|find) rhashtable_lookup ida_free`),
    // Copies, strings, prints, user memory.
    ...words(String.raw`memcpy memcmp memset memchr memmove memdup strcmp strncmp strcpy strlcpy strncpy strscpy
      strlen strstr strnstr strnlen strchr strdup strndup string pointer snprintf scnprintf kasprintf kvasprintf
      printk va_format dev_info dev_notice dev_warn dev_err dev_alert dev_crit dev_emerg copy_to_user
      copy_from_user copy_to_iter copy_from_iter copy_page_to_iter copy_page_from_iter copy_folio_to_iter
      ^copyin$ ^copyout$ put_user get_user might_fault might_sleep __might_resched extract_(?:user|iter)_to_sg
      ^crc\d+ crc_itu_t logic_in logic_out readb$ readw$ readl$ readq$ writeb$ writew$ writel$ writeq$`),
    // Wakeups, timers, work.
    ...words(String.raw`__wake_up ^complete$ wait_for_completion finish_wait kthread_stop del_timer __mod_timer
      __timer_delete_sync sk_stop_timer_sync flush_work __cancel_work_timer cancel_work_sync insert_work
      try_to_grab_pending flush_workqueue drain_workqueue destroy_workqueue queue_work __queue_delayed_work
      queue_delayed_work_on`),
    // Driver model objects, sysfs, USB, networking; functions that release inodes and dentries.
    ...words(String.raw`kobject_ add_uevent_var get_device_parent device_add device_del device_unregister
      device_destroy device_release devres_release_all hwrng_unregister i2c_del_adapter __unregister_client
      device_for_each_child device_remove_file ^put_device$ sysfs_remove tty_unregister_device
      rollback_registered unregister_netdev dummy_urb_enqueue usb_kill_urb usb_kill_anchored_urbs
      usb_control_msg usb_hcd_submit_urb usb_submit_urb ^iput$ ^iput_final$ ^ihold$ drop_nlink fast_dput dput`),
  ].join('|'),
);

/** Prefixes of system call functions, which depend on the architecture and the release. */
const ENTRY =
  /^(?:SYSC_|SyS_|sys_|__x64_|__ia32_|__arm64_|____sys_|___sys_|__sys_|__se_sys_|__se_|__do_sys_|compat_SYSC_|compat_SyS_|ksys_)/;

const shortest = (name: string): string => {
  // `__se_sys_` also begins with `__se_`: the longest prefix leaves the shortest name.
  const prefix = ENTRY.exec(name)?.[0] ?? '';
  return name.length > prefix.length ? name.slice(prefix.length) : name;
};

/**
 * Functions to blame, one for each stack trace; undefined if a stack trace has none, or is mixed with
 * another.
 */
export function blame(lines: readonly string[], { steps, otherwise, skip, pick }: Search): string[] | undefined {
  const isHelper = (name: string) => HELPERS.test(name) || skip?.test(name) === true;
  const trace = [TRACE, ...UNANNOUNCED].find((start) => lines.some((line) => start.test(line)));
  const known = (ways: readonly Step[]) => ways.map((step) => (step === TRACE && trace) || step);
  return follow(lines, known(steps), isHelper, pick) ?? (otherwise && follow(lines, known(otherwise), isHelper, pick));
}

function follow(
  lines: readonly string[],
  steps: readonly Step[],
  isHelper: (name: string) => boolean,
  pick: Search['pick'],
): string[] | undefined {
  const functions: string[] = [];
  let frames: string[] = [];
  let line = 0;
  let traces = 0;
  let mixed = false;
  const add = (match: RegExpExecArray | null) => {
    for (const name of match?.slice(1) ?? []) if (name !== undefined && !isHelper(name)) frames.push(shortest(name));
  };
  const conclude = () => {
    const name = pick ? pick(frames) : frames[0];
    if (name === undefined) mixed = true;
    else functions.push(name);
    frames = [];
  };
  for (let at = 0; at < steps.length; at++) {
    const step = steps[at]!;
    if (step !== 'frames') {
      for (; line < lines.length; line++) {
        if (INJECTED.test(lines[line]!)) {
          mixed = true;
          line++;
          break;
        }
        const match = step.exec(lines[line]!);
        if (!match) continue;
        add(match);
        line++;
        break;
      }
      continue;
    }
    if (traces++ > 0) conclude();
    const next = steps[at + 1];
    while (line < lines.length) {
      const text = lines[line++]!;
      if (INJECTED.test(text)) mixed = true;
      if (INJECTED.test(text) || isStart(text)) break;
      const match = next instanceof RegExp ? next.exec(text) : null;
      if (match) {
        add(match);
        at++;
        break;
      }
      add(frameOf(text));
    }
  }
  conclude();
  return mixed ? undefined : functions;
}

function frameOf(line: string): RegExpExecArray | null {
  for (const frame of FRAMES) {
    const match = frame.exec(line);
    if (match) return match;
  }
  return null;
}

function isStart(line: string): boolean {
  return STARTS.some((start) => start.test(line)) || RISCV_REGISTERS.test(line);
}

/** Maximum distance in lines from the announcement of a stack trace to its first frame. */
const NEAR = 15;

/** Why the stack traces of a report are unusable; undefined if they are usable. */
export function brokenTrace(lines: readonly string[]): Corruption | undefined {
  let frames = false;
  for (const start of [...STARTS, RISCV_REGISTERS, ...UNANNOUNCED]) {
    const at = lines.findIndex((line) => start.test(line));
    if (at < 0) continue;
    if (lines.length - at < 3) return 'cut';
    // On 32-bit arm, the line that begins the stack trace is its first frame.
    let isTrace = frameOf(lines[at]!) !== null;
    for (const line of lines.slice(at + 1, at + 1 + NEAR)) {
      if (isStart(line)) break;
      isTrace = frameOf(line) !== null || line.includes('(stack is not available)');
      if (isTrace) break;
    }
    if (isTrace) frames = true;
    else if (STARTS.includes(start)) return 'no-frames';
  }
  return frames ? undefined : 'no-trace';
}

/** Dispatchers: their callees name a stall better than the place where it was detected. */
const DISPATCHERS = new RegExp(
  words(String.raw`process_one_work do_syscall_ do_fast_syscall_ sysenter_dispatch tracesys_phase2
    el0_svc_handler invoke_syscall ret_fast_syscall netif_receive_skb do_softirq call_timer_fn _run_timers
    run_timer_softirq hrtimer_run run_ksoftirqd smpboot_thread_fn ^kthread$ start_secondary cpu_startup_entry
    ret_from_fork vfs_write vfs_read vfs_iter_read vfs_iter_write do_iter_read do_iter_write call_read_iter
    call_write_iter new_sync_read new_sync_write vfs_ioctl ksys_ioctl compat_ioctl compat_sys_ioctl
    blkdev_driver_ioctl blkdev_ioctl ^call_mmap mmap_region do_mmap do_dentry_open vfs_open ^sock_sendmsg
    ^sock_recvmsg ^sock_release ^__sock_release ^setsockopt$ kernel_setsockopt sock_common_setsockopt ^listen$
    kernel_listen sk_common_release ^sock_mmap ^accept$ kernel_accept ^sock_do_ioctl ^sock_ioctl
    ^compat_sock_ioctl ^nfnetlink_rcv_msg ^rtnetlink_rcv_msg ^netlink_dump ^(?:sys_)?(?:socketpair|connect|ioctl)
    __do_fault do_page_fault ^page_fault$ __fput task_work_run exit_to_usermode smp_call_function
    tasklet_action tasklet_hi_action`).join('|'),
);

/** For a stalled CPU: the last function before a dispatcher. */
export function stalled(frames: readonly string[]): string | undefined {
  const at = frames.findIndex((name) => DISPATCHERS.test(name));
  if (at < 0) return undefined;
  return frames[at]!.includes('smp_call_function') ? 'smp_call_function' : frames[Math.max(0, at - 1)];
}

/** Locks and grace periods that block many tasks: all tasks that wait for one get the same function name. */
const WAITED_FOR: readonly (readonly [RegExp, string | undefined])[] = [
  [/rtnl_lock/, undefined],
  [/synchronize_(?:s?rcu|net|sched)/, 'synchronize_rcu'],
];
const WAITING =
  /sched|_lock|_slowlock|down|rwsem|completion|kthread|wait|synchronize|context_switch|__switch_to|cancel_delayed_work|rcu_barrier/;

/** For a hung task: the function that it waits in. */
export function hung(frames: readonly string[]): string | undefined {
  for (const name of frames) for (const [of, instead] of WAITED_FOR) if (of.test(name)) return instead ?? name;
  return frames.find((name) => !WAITING.test(name));
}
