import type { Kernel } from '../../../src/kernel/kernel.js';
import type { Patch } from '../../../test/support/damaged-kernel.js';
import { littleEndian } from '../../../test/support/little-endian.js';
import type { Random } from '../random.js';
import type { Site } from './recording.js';

/** A meaningful change of one member. */
export interface Mutation {
  readonly name: string;
  /** The other site receives the old value. */
  readonly swaps?: true;
  /** The new value with this many bits; undefined if this place has none. */
  value(old: bigint, bits: number, other: () => bigint | undefined): bigint | undefined;
}

const ones = (bits: number) => (1n << BigInt(bits)) - 1n;

export const MUTATIONS: readonly Mutation[] = [
  { name: '0', value: () => 0n },
  { name: '1', value: () => 1n },
  { name: '+1', value: (old) => old + 1n },
  { name: '-1', value: (old) => old - 1n },
  // The greatest positive number, which a count never reaches.
  { name: 'huge', value: (_, bits) => ones(Math.max(1, bits - 1)) },
  { name: 'large', value: (_, bits) => (bits < 16 ? undefined : 1n << BigInt(Math.floor((bits * 2) / 3))) },
  { name: 'all ones', value: (_, bits) => ones(bits) },
  { name: 'sign flipped', value: (old, bits) => old ^ (1n << BigInt(bits - 1)) },
  { name: 'twice', value: (old, bits) => (bits > 32 ? undefined : old * 2n) },
  { name: "another's", value: (_, __, other) => other() },
  { name: 'swapped', swaps: true, value: (_, __, other) => other() },
];

/** Flips one bit of a member. */
const FLIPS: readonly Mutation[] = Array.from({ length: 64 }, (_, bit) => ({
  name: `bit ${bit} flipped`,
  value: (old, bits) => (bit < bits ? old ^ (1n << BigInt(bit)) : undefined),
}));

/** Members whose bits have separate meanings. */
const OF_BITS = /flags|mapping|state|head|info/;

/** For other members: low bits, the highest bits of a byte, a page and half a word, and the highest bit. */
const SOME_BITS: ReadonlySet<number> = new Set([0, 1, 2, 3, 5, 6, 8, 12, 16, 20, 21, 31, 32, 40, 47, 63]);

/** The bits of a member that are flipped individually. */
export function flipsOf(member: string): readonly Mutation[] {
  return OF_BITS.test(member) ? FLIPS : FLIPS.filter((_, bit) => SOME_BITS.has(bit));
}

/** The patches of a mutation at a site; empty if nothing would change. */
export function mutate(
  kernel: Kernel,
  random: Random,
  site: Site,
  mutation: Mutation,
  alike: readonly Site[],
): Patch[] {
  const { size, bits } = site;
  if (size > 8) return mutateBytes(kernel, random, site, mutation, alike);
  const [from, width] = bits ? [BigInt(bits.offset), bits.size] : [0n, size * 8];
  const part = ({ address }: Site) => (integerAt(kernel, address, size) >> from) & ones(width);
  const changed = (one: Site, value: bigint): Patch => {
    const rest = integerAt(kernel, one.address, size) & ~(ones(width) << from);
    const bytes = littleEndian(rest | ((value & ones(width)) << from), size);
    return { address: one.address, bytes };
  };
  const old = part(site);
  let other: Site | undefined;
  const value = mutation.value(old, width, () => {
    const others = new Map<bigint, Site>();
    for (let tries = 0; tries < 20; tries++) {
      const one = random.pick(alike);
      if (one.size === size && part(one) !== old) others.set(part(one), one);
    }
    other = others.size === 0 ? undefined : random.pick([...others.values()]);
    return other && part(other);
  });
  if (value === undefined || (value & ones(width)) === old) return [];
  return [changed(site, value), ...(mutation.swaps && other ? [changed(other, old)] : [])];
}

/** Names and addresses: zero, all ones, or the value of another object. */
function mutateBytes(
  kernel: Kernel,
  random: Random,
  { address, size }: Site,
  { name }: Mutation,
  alike: readonly Site[],
): Patch[] {
  const old = bytesAt(kernel, address, size);
  const bytes =
    name === '0'
      ? new Uint8Array(size)
      : name === 'all ones'
        ? new Uint8Array(size).fill(0xff)
        : name === "another's"
          ? bytesAt(kernel, random.pick(alike.filter((one) => one.size === size)).address, size)
          : undefined;
  if (!bytes || Buffer.from(bytes).equals(old)) return [];
  return [{ address, bytes }];
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
