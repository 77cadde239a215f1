import { KernelError, ReadError, WalkError } from '../../base/errors.js';
import type { Origin } from '../../contracts/common.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readUts } from '../machine-facts.js';
import { readClock } from './clock.js';
import { fieldsOf } from './fields.js';

/** UUID_SIZE (include/linux/uuid.h). */
const UUID_BYTES = 16;

/** Origin by the kernel's own memory: its clock's last tick, its boot, and its machine. */
export function kernelOrigin(kernel: Kernel): Origin {
  const clock = attempted(() => readClock(kernel));
  return {
    at: clock ? new Date(Number(clock.wallClock / 1_000_000n)).toISOString() : null,
    host: attempted(() => readUts(kernel, fieldsOf(kernel)).nodename) || null,
    bootId: attempted(() => bootId(kernel)) ?? null,
    uptimeSeconds: clock ? Number(clock.uptime / 10_000_000n) / 100 : null,
  };
}

/** `sysctl_bootid` (drivers/char/random.c): generated on first use, absent before. */
function bootId(kernel: Kernel): string | undefined {
  const at = kernel.symbol('sysctl_bootid');
  if (at === undefined) return undefined;
  const view = kernel.read(at, UUID_BYTES);
  const bytes = Buffer.from(view.buffer, view.byteOffset, UUID_BYTES);
  // proc_do_uuid checks this byte only: it is nonzero in a UUID.
  if (bytes[8] === 0) return undefined;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Returns undefined for an absent or unsupported member. */
function attempted<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof KernelError || error instanceof ReadError || error instanceof WalkError) return undefined;
    throw error;
  }
}
