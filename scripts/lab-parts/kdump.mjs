// `scripts/lab dump VER-kdump`: a kernel with the scenario panics; the kernel that it kexecs into
// runs makedumpfile on /proc/vmcore, as on a real machine. Formats that a capture kernel would make of the same pages
// byte by byte are made here from its ELF file, in a fiftieth of the time; for another architecture, in the guest too.
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDisk, readFromDisk } from './disk.mjs';
import { initramfs } from './initramfs.mjs';
import { isArm64, machineOf } from './machines.mjs';
import { madeOnce } from './made.mjs';
import { kernelFiles, LAB } from './paths.mjs';
import { toolProgram } from './programs.mjs';
import { bootScenario, scenarioRecipe, settledTruth } from './scenario.mjs';
import { inWords } from './words.mjs';

/**
 * File → how it is made of $FROM as $OUT (and $REST). Of makedumpfile's levels, 31 drops zero, cache,
 * private, user and free pages; 17 zero and free ones.
 *
 * @type {Record<string, string>}
 */
const WAYS = {
  'lzo-d31.vmcore': 'makedumpfile -l -d 31 $FROM $OUT',
  'zlib-d31.vmcore': 'makedumpfile -c -d 31 $FROM $OUT',
  'zstd-d31.vmcore': 'makedumpfile -z -d 31 $FROM $OUT',
  'raw-d31.vmcore': 'makedumpfile -d 31 $FROM $OUT',
  'flattened-d31.vmcore': 'makedumpfile -F -l -d 31 $FROM > $OUT',
  'elf-d31.vmcore': 'makedumpfile -E -d 31 $FROM $OUT',
  'split-d31.vmcore.1': 'makedumpfile --split --splitblock-size 32 -l -d 31 $FROM $OUT $REST',
  'lzo-d17.vmcore': 'makedumpfile -l -d 17 $FROM $OUT',
  'lzo-d0.vmcore': 'makedumpfile -l -d 0 $FROM $OUT',
  'elf.vmcore': 'dd if=$FROM of=$OUT bs=1M',
};
const REST = ['split-d31.vmcore.2', 'split-d31.vmcore.3'];
const DISK_MIB = 2048;
const IN_GUEST = ['lzo-d31.vmcore', 'elf.vmcore'];

/** makedumpfile (1.7.8) does not know the page tables of arm64 kernels for 52-bit addresses (since 6.9). */
const ONLY_COPIED = ['6.12-arm64', '6.12-arm64-16k', 'newest-arm64'];

const [name = ''] = process.argv.slice(2);

await inWords(async () => {
  const kernel = name.replace(/-kdump$/, '');
  const recipe = `${scenarioRecipe('kdump.mjs')} ${kernelFiles(kernel).release}\n`;
  const files = ONLY_COPIED.includes(kernel) ? ['elf.vmcore'] : [...Object.keys(WAYS), ...REST];
  const made = [...files, 'truth.json', 'log'];
  await madeOnce(name, recipe, made, (work) => dumpInto(work, kernel, files));
});

/** @param {string} work a folder @param {string} kernel @param {string[]} files to make */
async function dumpInto(work, kernel, files) {
  const captured = isArm64(kernel) ? files : IN_GUEST;
  const disk = join(work, 'disk');
  makeDisk(disk, DISK_MIB);
  const { vmlinuz, modules, busybox } = kernelFiles(kernel);
  const guest = await bootScenario({
    kernel,
    memoryMiB: 608,
    append: 'crashkernel=208M',
    disks: [{ path: disk }],
    files: [
      ...toolProgram('usr/sbin/kexec', kernel),
      { path: '/capture/vmlinuz', from: vmlinuz },
      {
        path: '/capture/initrd',
        data: initramfs(modules, { files: toolProgram('usr/bin/makedumpfile', kernel), busybox }),
      },
    ],
  });
  try {
    const truth = await crash(guest, kernel);
    await capture(guest, captured);
    writeFileSync(join(work, 'log'), guest.console);
    writeFileSync(join(work, 'truth.json'), `${JSON.stringify(truth, null, 1)}\n`);
  } finally {
    guest.kill();
  }
  // Not before QEMU has closed the disk.
  await guest.ended;
  for (const file of captured) readFromDisk(disk, file, join(work, file));
  rmSync(disk);
  const PATH = `${join(LAB, 'bin')}:${process.env['PATH']}`;
  for (const [file, way] of Object.entries(WAYS).filter(([one]) => files.includes(one) && !captured.includes(one))) {
    const env = { PATH, FROM: 'elf.vmcore', OUT: file, REST: REST.join(' ') };
    execFileSync('sh', ['-c', way], { cwd: work, env, stdio: ['ignore', 'ignore', 'pipe'] });
  }
}

/**
 * Loads the capture kernel and panics.
 *
 * @param {import('./guest.mjs').Guest} guest
 * @param {string} kernel
 */
async function crash(guest, kernel) {
  // x86_64 loads by kexec_file_load(2); Debian's arm64 has only kexec_load(2).
  if (isArm64(kernel)) await completeKallsyms(guest, kernel);
  const call = isArm64(kernel) ? '-c' : '-s';
  const console = machineOf(kernel).console;
  await guest.run(
    `kexec -p ${call} /capture/vmlinuz --initrd=/capture/initrd ` +
      `--command-line="console=${console} panic=-1 loglevel=4 nr_cpus=1 reset_devices irqpoll ` +
      // An emulated timer on a busy machine is late.
      `no_timer_check"`,
  );
  const truth = await settledTruth(guest);
  const booted = guest.console.length;
  await guest.run('(sleep 0.2; echo c > /proc/sysrq-trigger) > /dev/null 2>&1 &');
  await guest.waitFor(/guest: ready/, booted);
  return truth;
}

/**
 * kexec takes the place of the kernel from `_text` in /proc/kallsyms, and without it makes a
 * /proc/vmcore that is wrong. Where the kernel has no such line (CONFIG_KALLSYMS_ALL=n), one is added.
 *
 * @param {import('./guest.mjs').Guest} guest
 * @param {string} kernel
 */
async function completeKallsyms(guest, kernel) {
  const map = readFileSync(kernelFiles(kernel).systemMap, 'utf8');
  const linked = (/** @type {string} */ symbol) => address(map, symbol);
  const said = (await guest.run("grep -E ' (_text|_stext)$' /proc/kallsyms")).output.toString();
  if (/ _text$/m.test(said)) return;
  const text = address(said, '_stext') - linked('_stext') + linked('_text');
  await guest.run(
    `{ echo '${text.toString(16)} T _text'; cat /proc/kallsyms; } > /tmp/kallsyms; ` +
      'mount --bind /tmp/kallsyms /proc/kallsyms',
  );
}

/** @param {string} map lines of ADDRESS TYPE NAME @param {string} symbol */
function address(map, symbol) {
  const found = new RegExp(`^([0-9a-f]+) \\w ${symbol}$`, 'm').exec(map);
  if (found === null) throw new Error(`no ${symbol} in the kernel's symbols`);
  return BigInt(`0x${found[1]}`);
}

/**
 * Runs makedumpfile in the capture kernel, whose shell is the same.
 *
 * @param {import('./guest.mjs').Guest} guest
 * @param {string[]} files to make
 */
async function capture(guest, files) {
  await guest.run('mkdir /out; mount -t ext4 /dev/vda /out');
  /** @type {string[]} */
  const times = [];
  for (const [file, way] of Object.entries(WAYS)) {
    if (!files.includes(file)) continue;
    const began = Date.now();
    const parts = REST.map((part) => `/out/${part}`).join(' ');
    await guest.run(`FROM=/proc/vmcore OUT=/out/${file} REST='${parts}'; ${way}`);
    times.push(`${file.replace('.vmcore', '')} ${((Date.now() - began) / 1000).toFixed(1)}`);
  }
  console.error(`lab: ${name}: seconds in the capture kernel: ${times.join(', ')}`);
  await guest.run('umount /out; sync');
}
