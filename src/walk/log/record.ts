import type { Kernel } from '../../kernel/kernel.js';
import { decodeText, readUnsigned } from '../struct-reader.js';

/** Who called printk. */
export interface LogCaller {
  /** A task's own id, or a CPU that ran no task's code. */
  readonly kind: 'task' | 'cpu';
  readonly id: number;
}

/** A message of the kernel's log. */
export interface LogRecord {
  /** Counts messages since boot. */
  readonly seq: number;
  /** Nanoseconds on the kernel's own clock, which starts near 0 at boot and stands still in sleep. */
  readonly timestamp: bigint;
  /** 0 (emerg) to 7 (debug); null: this kernel's types do not tell where it stands. */
  readonly level: number | null;
  /** As syslog counts them; 0: the kernel itself. Null as level is. */
  readonly facility: number | null;
  readonly caller: LogCaller | null;
  /** Name of the task that called; '' where the kernel does not note it. Hostile. */
  readonly comm: string;
  /** The device that a message is about, where it is about one; '' otherwise. Hostile. */
  readonly subsystem: string;
  readonly device: string;
  /** One line, or several; hostile. */
  readonly text: string;
}

/** Members of `struct printk_info` beside those that VMCOREINFO states. */
const MEMBERS = [
  ...['facility', 'level', 'caller_id', 'comm', 'dev_info.subsystem', 'dev_info.device'],
] as const;

/** Set in a caller that is a CPU (printk_caller_id). */
const CPU_FLAG = 0x8000_0000;

/** Reads what a `struct printk_info` says of a message. */
export function infoReader(
  kernel: Kernel,
): (info: DataView) => Omit<LogRecord, 'seq' | 'timestamp' | 'text'> {
  const layout = kernel.struct('printk_info');
  const [facility, level, caller, comm, subsystem, device] = MEMBERS.map((path) =>
    layout?.member(path),
  );
  return (info) => {
    const number = (member: typeof level): number | null =>
      member === undefined ? null : readUnsigned(info, member.offset, member);
    const text = (member: typeof comm): string =>
      member === undefined ? '' : decodeText(info, member.offset, member.size);
    const by = number(caller);
    return {
      level: number(level),
      facility: number(facility),
      caller:
        by === null
          ? null
          : { kind: by >= CPU_FLAG ? 'cpu' : 'task', id: by >= CPU_FLAG ? by - CPU_FLAG : by },
      comm: text(comm),
      subsystem: text(subsystem),
      device: text(device),
    };
  };
}
