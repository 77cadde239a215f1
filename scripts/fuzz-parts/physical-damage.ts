import type { MemoryImage } from '../../src/kernel/native/image/image.js';
import type { PhysicalPatch } from '../../test/support/damaged-image.js';
import { littleEndian } from '../../test/support/little-endian.js';
import type { Random } from './random.js';
import { wildValue } from './values.js';

/** Another 64-bit word for an entry of a page table: nearly right is worse than wild. */
export function wildEntry(random: Random, old: bigint, root: number): bigint {
  const place = (1n << 52n) - (1n << 12n);
  return random.pick([
    () => (old & ~place) | BigInt(root),
    () => BigInt(root) | random.pick([1n, 3n, 0x63n, 0xe3n, 0x701n, 0x703n]),
    () => old ^ (1n << BigInt(random.below(64))),
    () => (old & ~3n) | BigInt(random.below(4)),
    () => old | (random.word() & place),
    () => (old & ~place) | (random.word() & place),
    () => old + BigInt(4096 * (random.below(33) - 16)),
    () => wildValue(random, old, 8),
  ])();
}

/** Damages a word among what was read, or takes its page away. */
export function damageWord(
  random: Random,
  image: MemoryImage,
  at: number,
  value: (old: bigint) => bigint,
): PhysicalPatch {
  if (random.oneIn(10)) return { at: at - (at % 4096), bytes: undefined, length: 4096 };
  const old = image.readPhysical(at, 8).getBigUint64(0, true);
  return { at, bytes: littleEndian(value(old), 8) };
}

export function tellPatch({ at, bytes }: PhysicalPatch): string {
  const what = bytes ? Buffer.from(bytes).toString('hex') : 'is missing';
  return `physical 0x${at.toString(16)}: ${what}`;
}
