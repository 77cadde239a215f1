import { KernelError } from '../../error.js';

/** e_machine (elf.h) → the name that `uname -m` gives. */
const ELF_MACHINES: Readonly<Record<number, string>> = {
  2: 'sparc',
  3: 'i386',
  8: 'mips',
  15: 'parisc',
  20: 'ppc',
  21: 'ppc64',
  22: 's390x',
  40: 'arm',
  43: 'sparc64',
  50: 'ia64',
  62: 'x86_64',
  183: 'aarch64',
  243: 'riscv64',
  258: 'loongarch64',
};

/** Machines whose dumps are read: little-endian, 64-bit. */
const SUPPORTED: ReadonlySet<string> = new Set(['x86_64', 'aarch64']);

export function machineName(elfMachine: number): string {
  return ELF_MACHINES[elfMachine] ?? `ELF machine ${elfMachine}`;
}

/** @throws {KernelError} `unsupported-arch`, naming the machine. */
export function requireMachine(path: string, machine: string): void {
  if (SUPPORTED.has(machine)) return;
  throw new KernelError('unsupported-arch', `${path} is a dump of a ${machine} machine`);
}
