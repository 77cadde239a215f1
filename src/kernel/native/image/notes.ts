import { KernelError } from '../../../base/errors.js';
import { bytesOf, textOf } from '../../bytes.js';

/** An ELF note: owner, type, and its bytes. */
export interface Note {
  readonly name: string;
  readonly type: number;
  readonly data: DataView;
}

/** Maximum total size of notes that are read: 64 MiB holds those of 100,000 CPUs. */
export const MAX_NOTE_BYTES = 64 * 1024 * 1024;
/** More notes than this indicate corruption: there are two or three per CPU. */
export const MAX_NOTES = 100_000;

/**
 * The notes of a PT_NOTE segment (or of a diskdump's notes area), little-endian; stops without an
 * error where the area is truncated or corrupt. Names and data are padded to 4 bytes, as Linux does
 * regardless of p_align.
 */
export function* notes(area: DataView): Generator<Note> {
  let at = 0;
  for (let i = 0; i < MAX_NOTES && at + 12 <= area.byteLength; i++) {
    const nameSize = area.getUint32(at, true);
    const dataSize = area.getUint32(at + 4, true);
    const type = area.getUint32(at + 8, true);
    const dataAt = at + 12 + padded(nameSize);
    const end = dataAt + dataSize;
    if (end > area.byteLength) return;
    // /proc/vmcore leaves gaps between CPUs' notes: zeros are not a note.
    if (nameSize > 0 || dataSize > 0) {
      const name = textOf(bytesOf(area, at + 12, nameSize));
      yield { name, type, data: new DataView(area.buffer, area.byteOffset + dataAt, dataSize) };
    }
    at = dataAt + padded(dataSize);
  }
}

/** Returns the text of the VMCOREINFO note; it need not end in NUL. */
export function vmcoreinfoOf(note: Note): string | undefined {
  return note.name === 'VMCOREINFO' ? textOf(bytesOf(note.data)) : undefined;
}

export const NT_PRSTATUS = 1;
/** sizeof(struct elf_prstatus), which differs between 64-bit little-endian machines. */
const PRSTATUS_MACHINES: Readonly<Record<number, string>> = {
  336: 'x86_64',
  376: 'riscv64',
  392: 'aarch64',
  480: 'loongarch64',
  504: 'ppc64le',
};

/** Machine name from the size of a CPU's register note, if no header names it. */
export function machineOfNote({ name, type, data }: Note): string | undefined {
  const isStatus = name === 'CORE' && type === NT_PRSTATUS;
  return isStatus ? PRSTATUS_MACHINES[data.byteLength] : undefined;
}

/**
 * Notes of CPUs' registers, in order. QEMU writes its own: before a kernel has crashed, or next to
 * the kernel's notes.
 */
export function statusNotes(
  all: readonly Note[],
  crashed: boolean,
): { readonly by: 'kernel' | 'qemu'; readonly notes: readonly DataView[] } {
  const notes = all.filter(({ name, type }) => name === 'CORE' && type === NT_PRSTATUS).map(({ data }) => data);
  const byQemu = !crashed || all.some(({ name }) => name === 'QEMU');
  return { by: byQemu ? 'qemu' : 'kernel', notes };
}

function padded(size: number): number {
  return Math.ceil(size / 4) * 4;
}

/** e_machine (elf.h) → name in `uname -m`, for 64 bits and the usual byte order. */
const ELF_MACHINES: Readonly<Record<number, string>> = {
  2: 'sparc',
  3: 'i386',
  4: 'm68k',
  8: 'mips64',
  15: 'parisc64',
  20: 'ppc',
  21: 'ppc64',
  22: 's390x',
  40: 'arm',
  42: 'sh',
  43: 'sparc64',
  50: 'ia64',
  62: 'x86_64',
  93: 'arc',
  183: 'aarch64',
  243: 'riscv64',
  258: 'loongarch64',
};

/** Names in `uname -m` of the variants. */
const BITS_32: Readonly<Record<string, string>> = {
  mips64: 'mips',
  parisc64: 'parisc',
  s390x: 's390',
  riscv64: 'riscv32',
  loongarch64: 'loongarch32',
};
const LITTLE_ENDIAN: Readonly<Record<string, string>> = { ppc64: 'ppc64le', ppc: 'ppcle' };
const BIG_ENDIAN: Readonly<Record<string, string>> = { aarch64: 'aarch64_be', arm: 'armeb' };

/** Supported machines: little-endian, 64-bit. */
const SUPPORTED: ReadonlySet<string> = new Set(['x86_64', 'aarch64']);

/**
 * Returns a machine's name from the fields of an ELF header. Never a supported name if word size or
 * byte order differ.
 */
export function machineName(elfMachine: number, bits: 32 | 64, littleEndian: boolean): string {
  const known = ELF_MACHINES[elfMachine];
  if (known === undefined) return `ELF machine ${elfMachine}`;
  const name = (bits === 32 ? BITS_32[known] : undefined) ?? known;
  const translated = (littleEndian ? LITTLE_ENDIAN : BIG_ENDIAN)[name] ?? name;
  if (!SUPPORTED.has(translated)) return translated;
  return `${bits === 32 ? '32-bit ' : ''}${littleEndian ? '' : 'big-endian '}${translated}`;
}

/** @throws {KernelError} `unsupported-arch`, naming the machine. */
export function requireMachine(path: string, machine: string): void {
  if (SUPPORTED.has(machine)) return;
  throw new KernelError('unsupported-arch', `${path}: unsupported architecture (${machine})`);
}
