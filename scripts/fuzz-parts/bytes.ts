import { littleEndian } from '../../test/support/little-endian.js';
import type { Random } from './random.js';
import { wildValue } from './values.js';

/** Bytes at the start of a file that contain headers. */
const HEAD = 32_768;

/** Damages a file like transport, storage and attackers do; mostly keeps earlier damage. */
export function damageBytes(random: Random, bytes: Uint8Array, told: string[]): Uint8Array {
  if (random.below(10) < (told.length > 1 ? 7 : 1)) return bytes;
  const changed = Uint8Array.from(bytes);
  for (const change of changes(random, changed.length)) {
    if (change.kind === 'cut') {
      told.push(`cut at ${change.at}`);
      return changed.subarray(0, change.at);
    }
    const patch = change.patch((at, size) => changed.subarray(at, at + size));
    changed.set(patch.bytes.subarray(0, Math.max(0, changed.length - patch.at)), patch.at);
    told.push(`file at ${patch.at}: ${Buffer.from(patch.bytes.subarray(0, 16)).toString('hex')}`);
  }
  return changed;
}

interface FilePatch {
  readonly at: number;
  readonly bytes: Uint8Array;
}

export type Change =
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'patch'; readonly patch: (read: (at: number, size: number) => Uint8Array) => FilePatch };

/** Some changes to a file of this size. */
export function changes(random: Random, length: number): Change[] {
  if (random.oneIn(6)) {
    const most = random.oneIn(3) ? Math.min(length, HEAD) : length;
    return [{ kind: 'cut', at: random.below(most) }];
  }
  return Array.from({ length: 1 + random.below(4) }, () => oneChange(random, length));
}

function oneChange(random: Random, length: number): Change {
  const head = !random.oneIn(3);
  // Header fields are aligned, and mostly near the start.
  const reach = Math.min(length, head ? random.pick([64, 512, 4608, HEAD]) : length);
  const at = head ? random.below(Math.ceil(reach / 4)) * 4 : random.below(reach);
  const size = random.pick([1, 2, 4, 4, 8, 8]);
  if (random.oneIn(12)) {
    const from = random.below(length);
    const count = 1 + random.below(4096);
    return { kind: 'patch', patch: (read) => ({ at, bytes: Uint8Array.from(read(from, count)) }) };
  }
  if (random.oneIn(12)) {
    const bytes = new Uint8Array(1 + random.below(4096)).fill(random.pick([0, 0xff]));
    return { kind: 'patch', patch: () => ({ at, bytes }) };
  }
  const bigEndian = random.oneIn(4);
  return {
    kind: 'patch',
    patch: (read) => {
      let old = 0n;
      for (const byte of read(at, size).toReversed()) old = (old << 8n) | BigInt(byte);
      const bytes = littleEndian(wildValue(random, old, size), size);
      return { at, bytes: bigEndian ? bytes.reverse() : bytes };
    },
  };
}
