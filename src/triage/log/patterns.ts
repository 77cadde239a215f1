import type { FindingCode, Severity } from '../finding.js';

/** A line of the log that says by itself what happened. */
export interface Pattern {
  readonly code: FindingCode;
  readonly severity: Severity;
  readonly line: RegExp;
  /** From the named groups of the line; numbers where they are. */
  readonly numbers?: readonly string[];
  /** Findings of one code with the same of these are one: the last is told, and how often it came. */
  readonly by: readonly string[];
  /** The command that tells more. */
  readonly deeper?: string;
}

/**
 * What kernels of 5.10 to 7.2 print (kernel/panic.c, kernel/hung_task.c, kernel/watchdog.c, kernel/rcu/,
 * arch/x86/mm/fault.c, arch/arm64/mm/fault.c, mm/slub.c, lib/list_debug.c, net/). The first that matches.
 */
export const PATTERNS: readonly Pattern[] = [
  {
    code: 'panic',
    severity: 'critical',
    line: /^Kernel panic - not syncing: (?<reason>.*)$/s,
    by: [],
  },
  {
    code: 'soft-lockup',
    severity: 'critical',
    line: /^watchdog: BUG: soft lockup - CPU#(?<cpu>\d+) stuck for (?<seconds>\d+)s! \[(?<comm>.*):(?<pid>\d+)\]/s,
    numbers: ['cpu', 'seconds', 'pid'],
    by: ['cpu', 'pid'],
    deeper: 'stacks',
  },
  {
    code: 'hard-lockup',
    severity: 'critical',
    // With the CPU that noticed before it, which is not always the one.
    line: /^(?:NMI )?watchdog: (?:CPU\d+: )?(?:BUG: |Watchdog detected )hard LOCKUP on cpu (?<cpu>\d+)/i,
    numbers: ['cpu'],
    by: ['cpu'],
  },
  {
    code: 'rcu-stall',
    severity: 'critical',
    line: /^rcu: INFO: (?<flavour>\w+) (?:self-)?detected (?:expedited )?stalls? on/,
    by: ['flavour'],
  },
  {
    code: 'hung-task',
    severity: 'warning',
    line: /^INFO: task (?<comm>.*):(?<pid>\d+) (?:<\w+> )?blocked (?:in I\/O wait )?for more than (?<seconds>\d+) seconds\.?/s,
    numbers: ['pid', 'seconds'],
    by: ['comm', 'pid'],
    deeper: 'stacks --state D',
  },
  {
    code: 'memory-corruption',
    severity: 'critical',
    line: /^(?:BUG (?<cache>[^ ]+) \(.*\): (?<what>.*)|(?<list>list_(?:add|del) corruption.*)|BUG: (?<kasan>(?:KASAN|KFENCE): .*|Bad page state.*|Bad rss-counter state.*|Bad page map.*)|slab error in (?<slab>.*)|(?<saturated>refcount_t: .*))$/s,
    by: ['cache', 'what', 'list', 'kasan', 'slab', 'saturated'],
  },
  {
    code: 'hardware-error',
    severity: 'warning',
    line: /^(?:mce: )?\[Hardware Error\]: (?<what>Machine check events logged|(?:Corrected|Deferred) error, no action required)/,
    by: ['what'],
  },
  {
    code: 'hardware-error',
    severity: 'critical',
    // Others tell more of the one before, or of how to read it (print_mce, amd_decode_mce).
    line: /^(?:mce: )?\[Hardware Error\]: (?!RIP |TSC |PROCESSOR |PPIN|Run the above |CPU:\d+ \(|Error Addr|IPID|cache level: )(?<what>.*)$/s,
    by: [],
  },
  {
    // What firmware found (drivers/firmware/efi/cper.c); its number is before it.
    code: 'hardware-error',
    severity: 'warning',
    line: /^\{\d+\}\[Hardware Error\]: event severity: (?<kind>corrected|info)$/,
    by: ['kind'],
  },
  {
    code: 'hardware-error',
    severity: 'critical',
    line: /^\{\d+\}\[Hardware Error\]: event severity: (?<kind>.*)$/s,
    by: ['kind'],
  },
  {
    code: 'hardware-error',
    severity: 'warning',
    line: /^EDAC .*: (?<count>\d+) (?<kind>CE|UE) /s,
    numbers: ['count'],
    by: ['kind'],
  },
  {
    code: 'kernel-warning',
    severity: 'warning',
    line: /^WARNING: CPU: (?<cpu>\d+) PID: (?<pid>\d+) at (?<place>[^ ]+:\d+)(?: (?<symbol>[^+ ]+)\+)?/,
    numbers: ['cpu', 'pid'],
    by: ['place'],
  },
  {
    code: 'kernel-warning',
    severity: 'warning',
    line: /^WARNING: (?:\[.*\] )?(?:at )?(?<place>[^ ]+:\d+) at (?<symbol>[^+ ]+)/,
    by: ['place'],
  },
  {
    code: 'network-memory',
    severity: 'warning',
    line: /^(?:(?<protocol>TCP): (?<what>out of memory|too many orphaned sockets).*|nf_conntrack: (?:nf_conntrack: )?(?<table>table full).*|(?:neighbour|Neighbour): (?<neighbours>.* table overflow).*|(?<files>VFS: file-max limit) .*)$/s,
    by: ['protocol', 'what', 'table', 'neighbours', 'files'],
  },
  {
    code: 'file-system-error',
    severity: 'warning',
    line: /^(?:(?<system>EXT4-fs|XFS|BTRFS):? (?:error|critical|\([^)]*\): (?:Corruption|Internal error|Metadata corruption|metadata I\/O error|log I\/O error)).*|(?:\w+: )?(?<io>(?:I\/O|timeout|critical [\w ]+|recoverable transport|protection) error, dev \S+), sector \d+.*|Buffer I\/O error on dev (?<device>\S+),.*)$/s,
    by: ['system', 'io', 'device'],
  },
];
