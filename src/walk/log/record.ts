import type { Kernel } from '../../kernel/kernel.js';
import type { LogCaller, LogRecord } from '../../records/log-records.js';
import { decodeText, readUnsigned } from '../struct-reader.js';
import type { Warnings } from '../warnings.js';
import { typeOf } from './record-buffer.js';

/** Members of `struct printk_info` that are not in VMCOREINFO. */
const MEMBERS = ['facility', 'level', 'caller_id', 'comm', 'dev_info.subsystem', 'dev_info.device'] as const;

/** Flag of a caller that is a CPU (printk_caller_id). */
const CPU_FLAG = 0x8000_0000;

/** Decodes the caller as the kernel records it (`caller_id`). */
export function callerOf(by: number): LogCaller {
  return by >= CPU_FLAG ? { kind: 'cpu', id: by - CPU_FLAG } : { kind: 'task', id: by };
}

/** Returns a reader of the metadata of a message in a `struct printk_info`. */
export function infoReader(kernel: Kernel): (info: DataView) => Omit<LogRecord, 'seq' | 'timestamp' | 'text'> {
  const layout = typeOf(kernel, 'printk_info');
  const [facility, level, caller, comm, subsystem, device] = MEMBERS.map((path) => layout?.member(path));
  return (info) => {
    const number = (member: typeof level): number | null =>
      member === undefined ? null : readUnsigned(info, member.offset, member);
    const text = (member: typeof comm): string =>
      member === undefined ? '' : decodeText(info, member.offset, member.size);
    const by = number(caller);
    return {
      level: number(level),
      facility: number(facility),
      caller: by === null ? null : callerOf(by),
      comm: text(comm),
      subsystem: text(subsystem),
      device: text(device),
    };
  };
}

/** LOG_KERN (syslog.h). */
const KERN = 0;

/**
 * Whether a message is from the kernel: messages that programs write to /dev/kmsg never have its facility.
 */
export function isOfKernel({ facility }: Pick<LogRecord, 'facility'>): boolean {
  return facility === null || facility === KERN;
}

/**
 * Messages that begin with the name of a program, up to 15 arbitrary bytes (show_signal_msg, arch/x86/mm/fault.c
 * and arch/arm64/kernel/traps.c; mm/oom_kill.c; warn_alloc, mm/page_alloc.c; fs/drop_caches.c): this part is
 * chosen by the program.
 */
const OF_COMMAND =
  /^.{0,15}(?:\[\d+\][: ]| \(\d+\)[: ]| invoked oom-killer: |: (?:page allocation (?:failure[:.]|stalls) |vmalloc |[^:]{0,99}, mode:0x))/su;

/** Whether a message begins with a name that a program chose. */
export function beginsWithCommand(text: string): boolean {
  return OF_COMMAND.test(text);
}

/**
 * Maximum backward step between timestamps, in nanoseconds. CPU clocks may differ by this much at their
 * start, and a message gets its timestamp before its position.
 */
const MAX_BACK = 10_000_000_000n;

/**
 * Divisor for the maximum clock drift. The log uses the CPU's clock. NTP adjusts the kernel's clock by up to
 * 500 parts per million, and the CPU's frequency is measured with the same accuracy. In ten days they may
 * differ by a quarter of an hour.
 */
const DRIFT = 1000n;

/**
 * Maximum time that a CPU prints without a timer tick, in nanoseconds: the kernel's clock stops at its last
 * tick, but a CPU that receives no interrupts may continue to print.
 */
const MAX_WITHOUT_TICK = 600_000_000_000n;

/** Checks the time of each message against the preceding messages, and against the kernel's clock. */
export class TimeOrder {
  readonly #warnings: Warnings;
  readonly #end: bigint | undefined;
  #latest = 0n;

  /**
   * @param uptime in nanoseconds, including suspend, which the logs of some machines count; undefined if
   * unknown
   */
  constructor(warnings: Warnings, uptime: bigint | undefined) {
    this.#warnings = warnings;
    this.#end = uptime === undefined ? undefined : uptime + uptime / DRIFT + MAX_WITHOUT_TICK;
  }

  add(name: string, timestamp: bigint): void {
    if (this.#latest - timestamp > MAX_BACK)
      this.#warnings.add('corrupt', `much older than the preceding message: ${name}`);
    if (this.#end !== undefined && timestamp > this.#end)
      this.#warnings.add('corrupt', `timestamp is after the kernel stopped: ${name}`);
    if (timestamp > this.#latest) this.#latest = timestamp;
  }
}

/** Levels and facilities as named by dmesg(1): the number is the index in the list. */
export const LEVELS: readonly string[] = ['emerg', 'alert', 'crit', 'err', 'warn', 'notice', 'info', 'debug'];

export const FACILITIES: readonly string[] = [
  'kern',
  'user',
  'mail',
  'daemon',
  'auth',
  'syslog',
  'lpr',
  'news',
  'uucp',
  'cron',
  'authpriv',
  'ftp',
  'res0',
  'res1',
  'res2',
  'res3',
  'local0',
  'local1',
  'local2',
  'local3',
  'local4',
  'local5',
  'local6',
  'local7',
];
