// The dumps that QEMU makes for the lab. A variant's name begins with its kernel's.
import { FIVE_LEVELS, FOUR_LEVELS } from './guest.mjs';

/** @typedef {{ kernel: string, cpu: string, memoryMiB: number }} Variant */

/** @param {string} name for example 6.1, 6.1-la57, 6.12-4g @returns {Variant} */
export function variant(name) {
  const [kernel = '', ...features] = name.split('-');
  /** @type {Variant} */
  const made = { kernel, cpu: FOUR_LEVELS, memoryMiB: 512 };
  for (const feature of features) {
    if (feature === 'la57') made.cpu = FIVE_LEVELS;
    // Part of 4 GiB lies above the hole for devices: physical addresses beyond 32 bits.
    else if (feature === '4g') made.memoryMiB = 4096;
    else throw new Error(`a dump called ${name}? There are KERNEL, KERNEL-la57 and KERNEL-4g`);
  }
  return made;
}
