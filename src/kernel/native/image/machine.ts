import { KernelError } from '../../../base/errors/kernel.js';

/** e_machine (elf.h) → the name that `uname -m` gives, for 64 bits, in the order of bytes named. */
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

/** Names that `uname -m` gives to the others of a kind. */
const BITS_32: Readonly<Record<string, string>> = {
  mips64: 'mips',
  parisc64: 'parisc',
  s390x: 's390',
  riscv64: 'riscv32',
  loongarch64: 'loongarch32',
};
const LITTLE_ENDIAN: Readonly<Record<string, string>> = { ppc64: 'ppc64le', ppc: 'ppcle' };
const BIG_ENDIAN: Readonly<Record<string, string>> = { aarch64: 'aarch64_be', arm: 'armeb' };

/** Machines whose dumps are read: little-endian, 64-bit. */
const SUPPORTED: ReadonlySet<string> = new Set(['x86_64', 'aarch64']);

/** A machine's name by the words of an ELF header. Never one that is read, if its words are others. */
export function machineName(elfMachine: number, bits: 32 | 64, littleEndian: boolean): string {
  const known = ELF_MACHINES[elfMachine];
  if (known === undefined) return `ELF machine ${elfMachine}`;
  const name = (bits === 32 ? BITS_32[known] : undefined) ?? known;
  const other = (littleEndian ? LITTLE_ENDIAN : BIG_ENDIAN)[name] ?? name;
  if (!SUPPORTED.has(other)) return other;
  return `${bits === 32 ? '32-bit ' : ''}${littleEndian ? '' : 'big-endian '}${other}`;
}

/** @throws {KernelError} `unsupported-arch`, naming the machine. */
export function requireMachine(path: string, machine: string): void {
  if (SUPPORTED.has(machine)) return;
  throw new KernelError('unsupported-arch', `${path}: unsupported architecture (${machine})`);
}
