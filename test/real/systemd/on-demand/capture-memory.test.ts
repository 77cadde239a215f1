import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { guestTool } from '../../../../scripts/lab-parts/guest-program.mjs';
import { initramfs } from '../../../../scripts/lab-parts/initramfs.mjs';
import { kernelFiles } from '../../../../scripts/lab-parts/paths.mjs';
import { toolProgram } from '../../../../scripts/lab-parts/programs.mjs';
import { triageSchema } from '../../../../src/contracts/triage.js';
import { kdumpMem } from '../../../support/cli.js';
import { testGuest } from '../../../support/guest.js';
import { scratchFolder } from '../../../support/scratch.js';

const MIB = 2 ** 20;
/** Enough for the program below, and what it needs. */
const ENOUGH_MIB = 192;
const PROGRAM_MIB = 64;
/** What the reservation of the second guest is too small by. */
const SHORT_MIB = 24;

const kernel = '6.1';
const { vmlinuz, modules } = kernelFiles(kernel);
const folder = scratchFolder('capture-memory-');
const guest = testGuest(kernel);

/**
 * Panics with so much reserved memory, and starts the program in the capture kernel.
 *
 * @returns its memory in bytes, and its log
 */
async function captured(crashkernelMiB: number) {
  await guest.boot({
    memoryMiB: 608,
    append: `crashkernel=${crashkernelMiB}M`,
    files: [
      ...toolProgram('usr/sbin/kexec', kernel),
      { path: '/capture/vmlinuz', from: vmlinuz },
      { path: '/capture/initrd', data: initramfs(modules, { files: [guestTool('takeuser', kernel)] }) },
    ],
  });
  const words = 'console=ttyS0 panic=-1 loglevel=4 nr_cpus=1 reset_devices irqpoll no_timer_check';
  await guest.run(`kexec -p -s /capture/vmlinuz --initrd=/capture/initrd --command-line="${words}"`);
  const booted = guest.machine.console.length;
  await guest.run('(sleep 0.2; echo c > /proc/sysrq-trigger) > /dev/null 2>&1 &');
  await guest.machine.waitFor(/guest: ready/, booted);
  // Otherwise a mapping that is larger than what is left is refused at once.
  await guest.run(
    `echo 1 > /proc/sys/vm/overcommit_memory; takeuser anonymous ${PROGRAM_MIB * MIB} > /run/took 2>&1 & while kill -0 $! && [ ! -s /run/took ]; do sleep 0.1; done`,
  );
  const counters = await guest.output('cat /proc/meminfo');
  const bytes = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(counters)?.[1]) * 1024;
  return {
    availableBytes: bytes('MemAvailable'),
    took: await guest.output('cat /run/took'),
    log: await guest.output('dmesg'),
  };
}

test('the bound for crashkernel= is above what was reserved, and not above what is needed', async () => {
  const enough = await captured(ENOUGH_MIB);
  expect(enough.took).toContain(`${PROGRAM_MIB * MIB}`);
  const neededMiB = Math.ceil(ENOUGH_MIB - enough.availableBytes / MIB);
  const reservedMiB = neededMiB - SHORT_MIB;
  const { took, log } = await captured(reservedMiB);
  expect(took).toBe('');
  writeFileSync(join(folder, 'kexec-dmesg.log'), log);
  const { stdout } = await kdumpMem('triage', '--json', join(folder, 'kexec-dmesg.log'));
  const found = triageSchema.parse(JSON.parse(stdout)).findings.filter(({ code }) => code === 'no-dump');
  expect(found.map(({ figures: { reason, comm, kills } }) => ({ reason, comm, kills }))).toEqual([
    { reason: 'memory', comm: 'takeuser', kills: 0 },
  ]);
  const [{ figures }] = found as [(typeof found)[number]];
  // The kernel reserves whole MiB, and gives the capture kernel all but a few pages of them.
  expect(Math.abs(Number(figures.ramBytes) - reservedMiB * MIB)).toBeLessThan(2 * MIB);
  expect(figures.moreThanBytes).toBeGreaterThan(Number(figures.ramBytes));
  expect(figures.moreThanBytes).toBeLessThanOrEqual(neededMiB * MIB);
  expect(figures.rssBytes).toBeGreaterThan((PROGRAM_MIB - SHORT_MIB - 8) * MIB);
  expect(figures.rssBytes).toBeLessThan(PROGRAM_MIB * MIB);
});
