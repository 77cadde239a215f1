import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { WalkError } from '../../base/errors/walk.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { Origin } from '../../records/sample-origin.js';
import { readClock } from './clock.js';
import { fieldsOf } from './fields.js';
import { readUts } from './machine.js';

/** UUID_SIZE (include/linux/uuid.h). */
const UUID_BYTES = 16;

/** By the kernel's own memory: when its clock ticked last, and which boot of which machine it is. */
export function kernelOrigin(kernel: Kernel): Origin {
  const clock = attempted(() => readClock(kernel));
  const milliseconds = clock && Number(clock.wallClock / 1_000_000n);
  return {
    at: milliseconds === undefined ? null : new Date(milliseconds),
    host: attempted(() => readUts(kernel, fieldsOf(kernel)).nodename) || null,
    bootId: attempted(() => bootId(kernel)) ?? null,
    uptime: clock ? Number(clock.uptime / 10_000_000n) / 100 : null,
  };
}

/** `sysctl_bootid` (drivers/char/random.c), which is made when somebody first asks for it: none before. */
function bootId(kernel: Kernel): string | undefined {
  const at = kernel.symbol('sysctl_bootid');
  if (at === undefined) return undefined;
  const view = kernel.read(at, UUID_BYTES);
  const bytes = Buffer.from(view.buffer, view.byteOffset, UUID_BYTES);
  // proc_do_uuid looks at this byte alone: a UUID has a bit set in it.
  if (bytes[8] === 0) return undefined;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** What a dump lacks, or nobody knows how to read, is not told. */
function attempted<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof KernelError || error instanceof ReadError || error instanceof WalkError)
      return undefined;
    throw error;
  }
}
