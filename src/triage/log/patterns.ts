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
    line: /^Kernel panic - not syncing: (?<reason>.*)$/,
    by: [],
  },
  {
    code: 'soft-lockup',
    severity: 'critical',
    line: /^watchdog: BUG: soft lockup - CPU#(?<cpu>\d+) stuck for (?<seconds>\d+)s! \[(?<comm>.*):(?<pid>\d+)\]/,
    numbers: ['cpu', 'seconds', 'pid'],
    by: ['cpu', 'pid'],
    deeper: 'stacks',
  },
  {
    code: 'hard-lockup',
    severity: 'critical',
    line: /^(?:NMI )?watchdog: (?:BUG: |Watchdog detected )hard LOCKUP on cpu (?<cpu>\d+)/i,
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
    line: /^INFO: task (?<comm>.*):(?<pid>\d+) (?:<\w+> )?blocked (?:in I\/O wait )?for more than (?<seconds>\d+) seconds\.?/,
    numbers: ['pid', 'seconds'],
    by: ['comm', 'pid'],
    deeper: 'stacks --state D',
  },
  {
    code: 'memory-corruption',
    severity: 'critical',
    line: /^(?:BUG (?<cache>[^ ]+) \(.*\): (?<what>.*)|(?<list>list_(?:add|del) corruption.*)|BUG: (?<kasan>KASAN: .*|Bad page state.*|Bad rss-counter state.*|Bad page map.*)|slab error in (?<slab>.*)|(?<saturated>refcount_t: .*))$/,
    by: ['cache', 'what', 'list', 'kasan', 'slab', 'saturated'],
  },
  {
    code: 'hardware-error',
    severity: 'critical',
    line: /^(?:mce: )?\[Hardware Error\]: (?<what>.*)$/,
    by: [],
  },
  {
    code: 'hardware-error',
    severity: 'warning',
    line: /^EDAC .*: (?<count>\d+) (?<kind>CE|UE) /,
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
    line: /^(?:(?<protocol>TCP): (?<what>out of memory|too many orphaned sockets).*|nf_conntrack: (?:nf_conntrack: )?(?<table>table full).*|(?:neighbour|Neighbour): (?<neighbours>.* table overflow).*|(?<files>VFS: file-max limit) .*)$/,
    by: ['protocol', 'what', 'table', 'neighbours', 'files'],
  },
  {
    code: 'file-system-error',
    severity: 'warning',
    line: /^(?:(?<system>EXT4-fs|XFS|BTRFS) (?:error|critical|\(.*\): (?:Corruption|Internal error|Metadata corruption)).*|(?<io>I\/O error, dev \S+), sector \d+.*|Buffer I\/O error on dev (?<device>\S+),.*)$/,
    by: ['system', 'io', 'device'],
  },
];
