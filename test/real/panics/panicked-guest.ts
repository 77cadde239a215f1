import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bootGuest } from '../../../scripts/lab-parts/guest.mjs';
import { guestModule } from '../../../scripts/lab-parts/guest-module.mjs';
import type { LabKernel } from '../../support/lab.js';
import type { PanicKind } from './kinds.js';

/** Facts about its panic from the guest's own console. */
export interface Panicked {
  readonly dump: string;
  readonly reason: string;
  readonly cpu: number;
  readonly pid: number;
  readonly comm: string;
}

/** A guest panics, and QEMU dumps its memory. */
export async function panickedGuest(kernel: LabKernel, kind: PanicKind, work: string): Promise<Panicked> {
  const guest = await bootGuest({
    kernel,
    memoryMiB: 256,
    // No module can be built for another architecture.
    files: kind.run.includes('insmod') ? [guestModule('panics', kernel)] : [],
    append: `panic=0 oops=panic ${kind.append ?? ''}`,
  });
  try {
    await guest.run(`cd /proc/sys/kernel; ${kind.sysctls ?? 'true'}`);
    // The shell may or may not answer before the kernel stops.
    guest.run(`(${kind.run}) > /dev/null 2>&1 &`).catch(() => {});
    if (kind.nmi) {
      await guest.waitFor(/panics: [^\n]*\n/);
      // It reports that half a second before it stops servicing interrupts.
      await sleep(2_000);
      await guest.nmi();
    }
    await guest.waitFor(/Kernel panic - not syncing: [^\n]*\n/);
    // For these the kernel names the task after its panic.
    if (kind.who === 'kernel') await guest.waitFor(BY_KERNEL);
    await guest.pause();
    const dump = join(work, `${kernel}-${kind.name}.vmcore`);
    await guest.dump('elf', dump);
    const { console } = guest;
    const [, reason = ''] = /Kernel panic - not syncing: ([^\r\n]*)/.exec(console) ?? [];
    const who = (kind.who === 'kernel' ? BY_KERNEL : BY_MODULE).exec(console)?.groups ?? {};
    const { cpu, pid, comm = '' } = who;
    return { dump, reason, cpu: Number(cpu), pid: Number(pid), comm };
  } finally {
    guest.kill();
  }
}

const BY_MODULE = /panics: \w+ by pid (?<pid>\d+) \((?<comm>.*)\) on CPU (?<cpu>\d+)/;
const BY_KERNEL = /Kernel panic - [\s\S]*?\] CPU: (?<cpu>\d+) (?:UID: \d+ )?PID: (?<pid>\d+) Comm: (?<comm>\S+) /;
