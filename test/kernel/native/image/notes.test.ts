import { afterAll, describe, expect, it } from 'vitest';
import { EXIT, explainFailure } from '../../../../src/app/kit/failure.js';
import { openNative } from '../../../../src/kernel/native/open.js';
import { type DiskdumpSpec, diskdumpExtents } from '../../../support/dump/diskdump.js';
import { vmcoreinfoNote, writeElf, writeNotes } from '../../../support/dump/elf.js';
import { flatten, joinExtents } from '../../../support/dump/extents.js';
import { DumpDirectory, pageOf } from '../../../support/dump/file.js';

const directory = new DumpDirectory();
afterAll(() => directory.dispose());

/** The one-line error without the path, and the exit status. */
function refusal(content: Uint8Array): { line: string; status: number } {
  const file = directory.write('dump', content);
  try {
    openNative({ files: [file] }).close();
  } catch (error) {
    const { line, status } = explainFailure(error);
    return { line: line.replace(file, 'FILE'), status };
  }
  throw new Error('it opened');
}

const refused = (machine: string) => ({
  line: `kdump-mem: FILE: unsupported architecture (${machine}). Use a dump of an x86_64 or arm64 kernel.`,
  status: EXIT.unreadable,
});

describe('refuses an ELF core of another machine by name', () => {
  it.each([
    ['i386', { machine: 3, class32: true }],
    // kexec writes 64-bit headers for kernels with PAE.
    ['i386', { machine: 3 }],
    ['ppc', { machine: 20, class32: true, bigEndian: true }],
    ['ppc64', { machine: 21, bigEndian: true }],
    ['ppc64le', { machine: 21 }],
    ['s390', { machine: 22, class32: true, bigEndian: true }],
    ['s390x', { machine: 22, bigEndian: true }],
    ['arm', { machine: 40, class32: true }],
    ['aarch64_be', { machine: 183, bigEndian: true }],
    ['riscv32', { machine: 243, class32: true }],
    ['riscv64', { machine: 243 }],
    ['loongarch64', { machine: 258 }],
    ['mips', { machine: 8, class32: true, bigEndian: true }],
    ['mips64', { machine: 8 }],
    ['sparc64', { machine: 43, bigEndian: true }],
    ['ia64', { machine: 50 }],
    ['ELF machine 4242', { machine: 4242 }],
    ['32-bit x86_64', { machine: 62, class32: true }],
    ['big-endian x86_64', { machine: 62, bigEndian: true }],
  ])('%s', (name, spec) => {
    const loads = [{ physical: 0n, data: pageOf(1) }];
    const notes = [vmcoreinfoNote('OSRELEASE=6.12.0\nPAGESIZE=4096\n')];
    expect(refusal(writeElf({ loads, notes, ...spec }))).toEqual(refused(name));
  });

  it('reports a malformed header if class or byte order are invalid', () => {
    for (const at of [4, 5]) {
      const core = writeElf({ loads: [{ physical: 0n, data: pageOf(1) }] });
      core[at] = 0;
      expect(refusal(core).line).toMatch(/^kdump-mem: FILE: malformed ELF header \(ELF class/);
    }
  });
});

describe('refuses a kdump compressed file of another machine by name', () => {
  const spec: DiskdumpSpec = {
    blocks: 8,
    memory: new Map([[1, { data: pageOf(1) }]]),
    vmcoreinfo: 'OSRELEASE=6.12.0\nPAGESIZE=4096\n',
  };

  /** The first fields of a header that a big-endian machine wrote. */
  function bigEndian(machine: string): Uint8Array {
    const bytes = Buffer.from(joinExtents(diskdumpExtents({ ...spec, machine })));
    bytes.writeInt32BE(6, 8);
    return bytes;
  }

  it.each([
    ['i686', joinExtents(diskdumpExtents({ ...spec, machine: 'i686' }))],
    ['ppc64le', joinExtents(diskdumpExtents({ ...spec, machine: 'ppc64le' }))],
    ['riscv64', joinExtents(diskdumpExtents({ ...spec, machine: 'riscv64' }))],
    ['loongarch64', joinExtents(diskdumpExtents({ ...spec, machine: 'loongarch64' }))],
    ['armv7l', joinExtents(diskdumpExtents({ ...spec, machine: 'armv7l' }))],
    ['ppc64le', flatten(diskdumpExtents({ ...spec, machine: 'ppc64le' }))],
    ['ppc64', bigEndian('ppc64')],
    ['s390x', bigEndian('s390x')],
    ['big-endian', bigEndian('Unknown')],
  ])('%s', (name, content) => {
    expect(refusal(content)).toEqual(refused(name));
  });

  // Headers of QEMU name few machines; the size of the CPU registers identifies them.
  it.each([
    ['riscv64', 376],
    ['loongarch64', 480],
    ['ppc64le', 504],
  ])('names %s by its notes', (name, size) => {
    const prstatus = { name: 'CORE', type: 1, data: new Uint8Array(size) };
    const notes = writeNotes([prstatus]);
    const content = joinExtents(diskdumpExtents({ ...spec, machine: 'Unknown', notes }));
    expect(refusal(content)).toEqual(refused(name));
  });

  it('reports an unsupported architecture that nothing names', () => {
    const content = joinExtents(diskdumpExtents({ ...spec, machine: 'Unknown' }));
    expect(refusal(content)).toEqual({
      line: 'kdump-mem: FILE: unsupported architecture (not named by its headers or VMCOREINFO). Use a dump of an x86_64 or arm64 kernel.',
      status: EXIT.unreadable,
    });
  });
});
