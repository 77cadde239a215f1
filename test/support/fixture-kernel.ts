import { openNative } from '../../src/kernel/native/open.js';
import type { Damage } from './damaged-kernel.js';
import { type FixtureName, fixture } from './fixtures.js';
import { littleEndian } from './little-endian.js';

/** An opened fixture dump, with helpers for tests of walkers to find objects and to damage them. */
export function fixtureKernel(name: FixtureName) {
  const { vmcore, truth } = fixture(name);
  const kernel = openNative({ files: [vmcore] });
  const offset = (type: string, path: string): bigint => {
    const member = kernel.struct(type)?.member(path);
    if (!member) throw new Error(`struct ${type} has no ${path}`);
    return BigInt(member.offset);
  };
  return {
    kernel,
    truth,
    offset,
    /** Reads the pointer at an address. */
    pointer: (address: bigint) => kernel.read(address, 8).getBigUint64(0, true),
    /** Memory with another value in a member of the object at an address. */
    with: (object: bigint, type: string, path: string, value: bigint, bytes: number): Damage => ({
      patches: [{ address: object + offset(type, path), bytes: littleEndian(value, bytes) }],
      denials: [],
    }),
  };
}
