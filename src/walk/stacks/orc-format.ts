import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';

/** What the value of a register, as of the caller, is made of. */
export type OrcRegister =
  | 'undefined'
  | 'prev-sp'
  | 'ax'
  | 'dx'
  | 'di'
  | 'bp'
  | 'sp'
  | 'r10'
  | 'r13'
  | 'bp-indirect'
  | 'sp-indirect';

/** How to come from a function to its caller (struct orc_entry, arch/x86/include/asm/orc_types.h). */
export interface OrcEntry {
  readonly type: 'undefined' | 'end' | 'call' | 'regs' | 'regs-partial';
  readonly sp: OrcRegister;
  readonly spOffset: number;
  readonly bp: OrcRegister;
  readonly bpOffset: number;
  /** The caller was interrupted. */
  readonly signal: boolean;
}

/** 1: up to 6.2; 2: 6.3; 3: from 6.4; 4: from 7.1, where registers have other numbers. */
export type OrcVersion = 1 | 2 | 3 | 4;

export const ORC_ENTRY_BYTES = 6;

const REGISTERS: readonly OrcRegister[] = [
  ...['undefined', 'prev-sp', 'dx', 'di', 'bp', 'sp', 'r10', 'r13'],
  ...['bp-indirect', 'sp-indirect'],
] as OrcRegister[];

const REGISTERS_4: readonly OrcRegister[] = [
  ...['undefined', 'ax', 'dx', 'sp', 'bp', 'di', 'r10', 'r13'],
  ...['prev-sp', 'sp-indirect', 'bp-indirect'],
] as OrcRegister[];

const TYPES = ['undefined', 'end', 'call', 'regs', 'regs-partial'] as const;
/** Before version 3; what has no type of its own there shows in sp_reg and `end`. */
const OLD_TYPES = ['call', 'regs', 'regs-partial'] as const;

/** @returns undefined for what no such table holds */
export function decodeOrc(version: OrcVersion, view: DataView): OrcEntry | undefined {
  const registers = view.getUint8(4);
  const flags = view.getUint8(5);
  const names = version === 4 ? REGISTERS_4 : REGISTERS;
  const [sp, bp] = [names[registers & 15], names[registers >>> 4]];
  if (sp === undefined || bp === undefined) return undefined;
  const offsets = { spOffset: view.getInt16(0, true), bpOffset: view.getInt16(2, true) };
  if (version >= 3) {
    const type = TYPES[flags & 7];
    return type && { type, sp, bp, ...offsets, signal: (flags & 8) !== 0 };
  }
  const end = (flags & (version === 2 ? 8 : 4)) !== 0;
  const kind = OLD_TYPES[flags & 3];
  if (kind === undefined) return undefined;
  const type = sp !== 'undefined' ? kind : end ? 'end' : 'undefined';
  const signal = version === 2 ? (flags & 4) !== 0 : kind !== 'call';
  return { type, sp, bp, ...offsets, signal };
}

/**
 * What a kernel's tables begin with since 6.3.10: a hash of the format (scripts/orc_hash.sh over
 * orc_types.h). That of version 4 has the types of version 3, and means something else.
 */
const HASHES: Readonly<Record<string, OrcVersion>> = {
  db84aed4103b31dd51e017f8f79783ca985c2c51: 2,
  fe5d32bf581bd63b2ca9a5c65ba5a625eab3fe24: 3,
  '137c36ad7627c4dd55932176bb0ecdbd5041fc82': 4,
};

const HASH_BYTES = 20;

/**
 * The version of a kernel's tables: by their hash, or by their type where there is none.
 *
 * @throws {KernelError} `unsupported-layout`; {@link ReadError}
 */
export function orcVersion(kernel: Kernel): OrcVersion {
  const header = kernel.symbol('__start_orc_header');
  if (header !== undefined) {
    const bytes = readPartOf(kernel, '__start_orc_header', header, header, HASH_BYTES);
    const hash = Buffer.from(bytes.buffer, bytes.byteOffset, HASH_BYTES).toString('hex');
    const version = HASHES[hash];
    if (version !== undefined) return version;
    throw new KernelError('unsupported-layout', `unsupported format of ORC unwind tables: ${hash}`);
  }
  const layout = kernel.struct('orc_entry');
  const type = layout?.member('type')?.bits?.size;
  if (layout?.size === ORC_ENTRY_BYTES) {
    if (type === 3 && layout.member('signal')) return 3;
    if (type === 2 && layout.member('end')) return layout.member('signal') ? 2 : 1;
  }
  throw new KernelError('unsupported-layout', 'unsupported layout of struct orc_entry');
}
