// `scripts/lab dump VER-kdump`: a kernel with the scenario panics; the kernel that it kexecs into
// runs makedumpfile on /proc/vmcore, as on a real machine, in all the ways that people use.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDisk, readFromDisk } from './disk.mjs';
import { initramfs } from './initramfs.mjs';
import { madeOnce } from './made.mjs';
import { kernelFiles } from './paths.mjs';
import { toolProgram } from './programs.mjs';
import { bootScenario, scenarioRecipe, settledTruth } from './scenario.mjs';
import { inWords } from './words.mjs';

/**
 * File → how the capture kernel makes it as $OUT (and $REST). Of makedumpfile's levels, 31 drops zero, cache,
 * private, user and free pages; 17 zero and free ones.
 *
 * @type {Record<string, string>}
 */
const WAYS = {
  'lzo-d31.vmcore': 'makedumpfile -l -d 31 /proc/vmcore $OUT',
  'zlib-d31.vmcore': 'makedumpfile -c -d 31 /proc/vmcore $OUT',
  'zstd-d31.vmcore': 'makedumpfile -z -d 31 /proc/vmcore $OUT',
  'raw-d31.vmcore': 'makedumpfile -d 31 /proc/vmcore $OUT',
  'flattened-d31.vmcore': 'makedumpfile -F -l -d 31 /proc/vmcore > $OUT',
  'elf-d31.vmcore': 'makedumpfile -E -d 31 /proc/vmcore $OUT',
  'split-d31.vmcore.1':
    'makedumpfile --split --splitblock-size 32 -l -d 31 /proc/vmcore $OUT $REST',
  'lzo-d17.vmcore': 'makedumpfile -l -d 17 /proc/vmcore $OUT',
  'lzo-d0.vmcore': 'makedumpfile -l -d 0 /proc/vmcore $OUT',
  'elf.vmcore': 'dd if=/proc/vmcore of=$OUT bs=1M',
};
const REST = ['split-d31.vmcore.2', 'split-d31.vmcore.3'];
const FILES = [...Object.keys(WAYS), ...REST];
const DISK_MIB = 2048;

const [name = ''] = process.argv.slice(2);

await inWords(async () => {
  const kernel = name.replace(/-kdump$/, '');
  const recipe = `${scenarioRecipe('kdump.mjs')} ${kernelFiles(kernel).release}\n`;
  await madeOnce(name, recipe, [...FILES, 'truth.json', 'log'], (work) => dumpInto(work, kernel));
});

/** @param {string} work a folder @param {string} kernel */
async function dumpInto(work, kernel) {
  const disk = join(work, 'disk');
  makeDisk(disk, DISK_MIB);
  const { vmlinuz, modules } = kernelFiles(kernel);
  const guest = await bootScenario({
    kernel,
    memoryMiB: 608,
    append: 'crashkernel=208M',
    disks: [{ path: disk }],
    files: [
      ...toolProgram('usr/sbin/kexec'),
      { path: '/capture/vmlinuz', from: vmlinuz },
      {
        path: '/capture/initrd',
        data: initramfs(modules, { files: toolProgram('usr/bin/makedumpfile') }),
      },
    ],
    limitMs: 420_000,
  });
  try {
    const truth = await crash(guest);
    await capture(guest);
    writeFileSync(join(work, 'log'), guest.console);
    writeFileSync(join(work, 'truth.json'), `${JSON.stringify(truth, null, 1)}\n`);
  } finally {
    guest.kill();
  }
  // Not before QEMU has closed the disk.
  await guest.ended;
  for (const file of FILES) readFromDisk(disk, file, join(work, file));
  rmSync(disk);
}

/**
 * Loads the capture kernel and panics.
 *
 * @param {import('./guest.mjs').Guest} guest
 */
async function crash(guest) {
  await guest.run(
    'kexec -p -s /capture/vmlinuz --initrd=/capture/initrd ' +
      '--command-line="console=ttyS0 panic=-1 loglevel=4 nr_cpus=1 reset_devices irqpoll"',
  );
  const truth = await settledTruth(guest);
  const booted = guest.console.length;
  await guest.run('(sleep 0.2; echo c > /proc/sysrq-trigger) > /dev/null 2>&1 &');
  await guest.waitFor(/guest: ready/, 90_000, booted);
  return truth;
}

/**
 * Runs makedumpfile in the capture kernel, whose shell is the same.
 *
 * @param {import('./guest.mjs').Guest} guest
 */
async function capture(guest) {
  await guest.run('mkdir /out; mount -t ext4 /dev/vda /out');
  /** @type {string[]} */
  const times = [];
  for (const [file, way] of Object.entries(WAYS)) {
    const began = Date.now();
    const parts = REST.map((part) => `/out/${part}`).join(' ');
    await guest.run(`OUT=/out/${file} REST='${parts}'; ${way}`, { timeoutMs: 120_000 });
    times.push(`${file.replace('.vmcore', '')} ${((Date.now() - began) / 1000).toFixed(1)}`);
  }
  console.error(`lab: ${name}: seconds in the capture kernel: ${times.join(', ')}`);
  await guest.run('umount /out; sync');
}
