import type { Kernel } from '../../kernel/kernel.js';
import { readOrNot } from '../read-or-not.js';

/** The longest call: opcode, ModRM, SIB and four bytes of displacement. */
const LONGEST_CALL = 7;

/** Bytes of `ff /2` calls by ModRM's mod and rm: register, memory with no, one and four bytes behind. */
const INDIRECT: Readonly<Record<number, (mod: number, rm: number) => boolean>> = {
  2: (mod, rm) => mod === 3 || (mod === 0 && rm !== 4 && rm !== 5),
  3: (mod, rm) => (mod === 1 && rm !== 4) || (mod === 0 && rm === 4),
  4: (mod, rm) => mod === 1 && rm === 4,
  6: (mod, rm) => (mod === 2 && rm !== 4) || (mod === 0 && rm === 5),
  7: (mod, rm) => (mod === 2 || mod === 0) && rm === 4,
};

/** A far return: how a CPU that starts comes to its first C function (secondary_startup_64). */
const FAR_RETURN = 0xcb;

/** Whether a far return ends at an address; undefined as callEndsAt. */
export function farReturnEndsAt(kernel: Kernel, address: bigint): boolean | undefined {
  return readOrNot(() => kernel.read(address - 1n, 1))?.getUint8(0) === FAR_RETURN;
}

/** Whether a call of arm64 (BL, BLR and those that check a signature) ends at an address; undefined as there. */
export function branchLinkEndsAt(kernel: Kernel, address: bigint): boolean | undefined {
  if ((address & 3n) !== 0n) return false;
  const code = readOrNot(() => kernel.read(address - 4n, 4))?.getUint32(0, true);
  if (code === undefined) return undefined;
  return (
    code >>> 26 === 0b100101 ||
    (code & 0xffff_fc1f) >>> 0 === 0xd63f_0000 ||
    (code & 0xfeff_f800) >>> 0 === 0xd63f_0800
  );
}

/** Where a BL of arm64 that ends at an address branches to; undefined: none does, or it cannot be read. */
export function branchTarget(kernel: Kernel, address: bigint): bigint | undefined {
  const code = readOrNot(() => kernel.read(address - 4n, 4))?.getUint32(0, true);
  if (code === undefined || code >>> 26 !== 0b100101) return undefined;
  return address - 4n + BigInt.asIntN(28, BigInt(code & 0x3ff_ffff) << 2n);
}

/**
 * Whether a call of x86_64 ends at an address, as before each return address: the second fact about one.
 *
 * @returns undefined where the code cannot be read
 */
export function callEndsAt(kernel: Kernel, address: bigint): boolean | undefined {
  const code = readOrNot(() => kernel.read(address - BigInt(LONGEST_CALL), LONGEST_CALL));
  if (code === undefined) return undefined;
  const CALL = 0xe8;
  const GROUP_5 = 0xff;
  if (code.getUint8(LONGEST_CALL - 5) === CALL) return true;
  return Object.entries(INDIRECT).some(([bytes, fits]) => {
    const at = LONGEST_CALL - Number(bytes);
    const modrm = code.getUint8(at + 1);
    return code.getUint8(at) === GROUP_5 && ((modrm >> 3) & 7) === 2 && fits(modrm >> 6, modrm & 7);
  });
}
