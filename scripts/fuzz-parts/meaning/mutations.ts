import type { Kernel } from '../../../src/kernel/kernel.js';
import type { Patch } from '../../../test/support/damaged-kernel.js';
import { littleEndian } from '../../../test/support/little-endian.js';
import type { Random } from '../random.js';
import type { Site } from './recording.js';

/** A change of one member that means something. */
export interface Mutation {
  readonly name: string;
  /** The new value of so many bits; undefined: there is none for this place. */
  value(old: bigint, bits: number, other: () => bigint | undefined): bigint | undefined;
}

const ones = (bits: number) => (1n << BigInt(bits)) - 1n;

export const MUTATIONS: readonly Mutation[] = [
  { name: '0', value: () => 0n },
  { name: '1', value: () => 1n },
  { name: '+1', value: (old) => old + 1n },
  { name: '-1', value: (old) => old - 1n },
  // The greatest positive number: what a count may be and never is.
  { name: 'huge', value: (_, bits) => ones(Math.max(1, bits - 1)) },
  {
    name: 'large',
    value: (_, bits) => (bits < 16 ? undefined : 1n << BigInt(Math.floor((bits * 2) / 3))),
  },
  { name: 'all ones', value: (_, bits) => ones(bits) },
  { name: 'sign flipped', value: (old, bits) => old ^ (1n << BigInt(bits - 1)) },
  { name: 'twice', value: (old, bits) => (bits > 32 ? undefined : old * 2n) },
  { name: "another's", value: (_, __, other) => other() },
];

/** The patch that a mutation makes of a site; undefined where it would change nothing. */
export function mutate(
  kernel: Kernel,
  random: Random,
  site: Site,
  mutation: Mutation,
  alike: readonly Site[],
): Patch | undefined {
  const { address, size, bits } = site;
  if (size > 8) return mutateBytes(kernel, random, site, mutation, alike);
  const old = integerAt(kernel, address, size);
  const [from, width] = bits ? [BigInt(bits.offset), bits.size] : [0n, size * 8];
  const part = (whole: bigint) => (whole >> from) & ones(width);
  const value = mutation.value(part(old), width, () => {
    const values = new Set<bigint>();
    for (let tries = 0; tries < 20; tries++) {
      const other = random.pick(alike);
      if (other.size === size) values.add(part(integerAt(kernel, other.address, size)));
    }
    values.delete(part(old));
    return values.size === 0 ? undefined : random.pick([...values]);
  });
  if (value === undefined || (value & ones(width)) === part(old)) return undefined;
  const changed = (old & ~(ones(width) << from)) | ((value & ones(width)) << from);
  return { address, bytes: littleEndian(changed, size) };
}

/** Names and addresses: nothing, all ones, or what another one has. */
function mutateBytes(
  kernel: Kernel,
  random: Random,
  { address, size }: Site,
  { name }: Mutation,
  alike: readonly Site[],
): Patch | undefined {
  const old = bytesAt(kernel, address, size);
  const bytes =
    name === '0'
      ? new Uint8Array(size)
      : name === 'all ones'
        ? new Uint8Array(size).fill(0xff)
        : name === "another's"
          ? bytesAt(kernel, random.pick(alike.filter((one) => one.size === size)).address, size)
          : undefined;
  if (!bytes || Buffer.from(bytes).equals(old)) return undefined;
  return { address, bytes };
}

function bytesAt(kernel: Kernel, address: bigint, size: number): Buffer {
  const view = kernel.read(address, size);
  return Buffer.from(new Uint8Array(view.buffer, view.byteOffset, size));
}

export function integerAt(kernel: Kernel, address: bigint, size: number): bigint {
  const view = kernel.read(address, size);
  let value = 0n;
  for (let at = size - 1; at >= 0; at--) value = (value << 8n) | BigInt(view.getUint8(at));
  return value;
}
