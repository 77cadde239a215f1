import type { Kernel } from '../../kernel/kernel.js';
import type { LogRecord } from '../../log-records.js';
import { decodeText, readUnsigned } from '../struct-reader.js';

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
