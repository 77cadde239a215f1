import type { Kernel } from '../../kernel/kernel.js';
import type { LogCaller, LogRecord } from '../../records/log-records.js';
import { decodeText, readUnsigned } from '../struct-reader.js';
import { typeOf } from './type-of.js';

/** Members of `struct printk_info` beside those that VMCOREINFO states. */
const MEMBERS = [
  ...['facility', 'level', 'caller_id', 'comm', 'dev_info.subsystem', 'dev_info.device'],
] as const;

/** Set in a caller that is a CPU (printk_caller_id). */
const CPU_FLAG = 0x8000_0000;

/** Who called, as the kernel notes it (`caller_id`). */
export function callerOf(by: number): LogCaller {
  return by >= CPU_FLAG ? { kind: 'cpu', id: by - CPU_FLAG } : { kind: 'task', id: by };
}

/** Reads what a `struct printk_info` says of a message. */
export function infoReader(
  kernel: Kernel,
): (info: DataView) => Omit<LogRecord, 'seq' | 'timestamp' | 'text'> {
  const layout = typeOf(kernel, 'printk_info');
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
      caller: by === null ? null : callerOf(by),
      comm: text(comm),
      subsystem: text(subsystem),
      device: text(device),
    };
  };
}
