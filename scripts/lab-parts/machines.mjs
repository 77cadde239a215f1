// The machines that QEMU plays for the lab's kernels. A kernel's name tells its machine: 6.12 is for a
// PC, 6.12-arm64 and 6.12-arm64-16k (with pages of 16 KiB) for arm64.

/**
 * @typedef {object} Machine
 * @property {string} qemu the emulator
 * @property {string[]} args its own options
 * @property {string} cpu -cpu unless told
 * @property {string} console the serial line's name in the guest
 * @property {string} compiler makes static programs for it
 * @property {string} tools folder of the lab with Debian's programs for it
 * @property {string} toolsStep what makes that folder
 * @property {string} loader the dynamic loader in there
 * @property {string} libraries and the shared libraries
 */

// QEMU 7.2 cannot emulate what newer kernels do with cmpxchg16b.
export const FOUR_LEVELS = 'max,la57=off,cx16=off';
export const FIVE_LEVELS = 'max,la57=on,cx16=off';

/** Without pointer authentication and 52-bit addresses. */
export const NEOVERSE = 'neoverse-n1';
/** With both; QEMU's own pointer authentication is slow, its made-up one is not. */
export const ARM64_MAX = 'max,pauth-impdef=on';

/** @type {Machine} */
const PC = {
  qemu: 'qemu-system-x86_64',
  args: [],
  cpu: FOUR_LEVELS,
  console: 'ttyS0',
  compiler: 'gcc',
  tools: 'tools',
  toolsStep: 'scripts/lab tools',
  loader: 'usr/lib64/ld-linux-x86-64.so.2',
  libraries: 'usr/lib/x86_64-linux-gnu',
};

/** @type {Machine} */
const ARM64 = {
  qemu: 'qemu-system-aarch64',
  args: ['-machine', 'virt'],
  cpu: NEOVERSE,
  console: 'ttyAMA0',
  compiler: 'aarch64-linux-gnu-gcc',
  tools: 'tools-arm64',
  toolsStep: 'scripts/lab tools-arm64',
  loader: 'usr/lib/ld-linux-aarch64.so.1',
  libraries: 'usr/lib/aarch64-linux-gnu',
};

/** @param {string} kernel a kernel of the lab @returns {Machine} */
export function machineOf(kernel) {
  return isArm64(kernel) ? ARM64 : PC;
}

/** @param {string} kernel a kernel of the lab, or a dump of it */
export function isArm64(kernel) {
  return kernel.includes('-arm64');
}
