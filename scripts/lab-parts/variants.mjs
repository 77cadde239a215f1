// The dumps that QEMU makes for the lab. A variant's name begins with its kernel's.
import { ARM64_MAX, FIVE_LEVELS, isArm64, machineOf } from './machines.mjs';

/** @typedef {{ kernel: string, cpu: string, memoryMiB: number, numa?: boolean }} Variant */

/** @param {string} name for example 6.1, 6.1-la57, 6.1-numa, 6.12-4g, 6.12-arm64-max @returns {Variant} */
export function variant(name) {
  const kernel = /^[^-]+(-arm64(-16k)?|-rt)?/.exec(name)?.[0] ?? '';
  const features = name.slice(kernel.length).split('-').slice(1);
  /** @type {Variant} */
  const made = { kernel, cpu: machineOf(kernel).cpu, memoryMiB: 512 };
  for (const feature of features) {
    if (feature === 'la57' && !isArm64(kernel)) made.cpu = FIVE_LEVELS;
    // Pointer authentication, and 52-bit addresses where the kernel can.
    else if (feature === 'max' && isArm64(kernel)) made.cpu = ARM64_MAX;
    // Two nodes, and memory that was plugged in.
    else if (feature === 'numa' && !isArm64(kernel)) made.numa = true;
    // GiB. Part of 4 lies above the hole for devices: physical addresses beyond 32 bits.
    else if (/^\d+g$/.test(feature)) made.memoryMiB = 1024 * Number.parseInt(feature, 10);
    else {
      throw new Error(
        `a dump called ${name}? There are KERNEL, KERNEL-la57, KERNEL-numa, KERNEL-4g, -16g, -64g and, of arm64, KERNEL-max`,
      );
    }
  }
  return made;
}
