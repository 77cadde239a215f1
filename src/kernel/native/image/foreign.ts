import { existsSync } from 'node:fs';
import { KernelError } from '../../../base/errors/kernel.js';
import { shellPath } from '../../../base/shell-word.js';
import type { ByteSource } from './byte-source.js';

/** How what is packed is unpacked: what the file ends in, and the command that makes `to` of `from`. */
interface Unpacking {
  readonly suffix: string;
  /** Both are quoted for a shell. */
  command(from: string, to: string): string;
}

/** A program that unpacks its stdin, whatever the file is called, and leaves the file as it is. */
function unpacker(program: string, suffix: string): Unpacking {
  return { suffix, command: (from, to) => `${program} -dc < ${from} > ${to}` };
}

/** The command that unpacks a file, to be printed: what it makes is not there yet. */
function unpackCommand(file: string, { suffix, command }: Unpacking): string {
  const bare = file.toLowerCase().endsWith(suffix) ? file.slice(0, -suffix.length) : '';
  const first = bare === '' || bare.endsWith('/') ? `${file}.unpacked` : bare;
  let to = first;
  for (let more = 1; existsSync(to) && more < MOST_TRIED; more++)
    to = `${file}.unpacked${more === 1 ? '' : more}`;
  return command(shellPath(file), shellPath(to));
}

const MOST_TRIED = 100;

const TAR: Unpacking = {
  suffix: '.tar',
  command: (from, to) => `mkdir ${to} && tar -C ${to} -xf - < ${from}`,
};
const ZIP: Unpacking = { suffix: '.zip', command: (from, to) => `unzip -d ${to} ${from}` };
const SEVEN_ZIP: Unpacking = {
  suffix: '.7z',
  command: (from, to) => `7z x -o${to} -- ${from}`,
};

/** A kind of file that people give in place of a dump that can be read. */
interface Foreign {
  readonly bytes: string;
  readonly offset?: number;
  /** `unsupported-format` for what holds a dump, `not-a-dump` for what doesn't. */
  readonly code: 'unsupported-format' | 'not-a-dump';
  readonly kind: string;
  /** What to do with it: how it is unpacked, or a sentence. */
  readonly next?: Unpacking | string;
}

function packed(bytes: string, kind: string, next?: Unpacking | string): Foreign {
  return { bytes, code: 'unsupported-format', kind, ...(next === undefined ? {} : { next }) };
}

function other(bytes: string, kind: string, offset = 0): Foreign {
  return { bytes, offset, code: 'not-a-dump', kind };
}

const MEMORY_ONLY =
  'Dump again with virsh dump --memory-only, or with dump-guest-memory of the QEMU monitor.';

/** Magic numbers as Latin-1 text. crash's headers name those of other dump formats. */
const FOREIGN: readonly Foreign[] = [
  packed('\x1f\x8b', 'compressed with gzip', unpacker('gzip', '.gz')),
  packed('\xfd7zXZ\x00', 'compressed with xz', unpacker('xz', '.xz')),
  packed('\x28\xb5\x2f\xfd', 'compressed with zstd', unpacker('zstd', '.zst')),
  packed('\x04\x22\x4d\x18', 'compressed with lz4', unpacker('lz4', '.lz4')),
  packed('\x02\x21\x4c\x18', 'compressed with lz4', unpacker('lz4', '.lz4')),
  packed('BZh', 'compressed with bzip2', unpacker('bzip2', '.bz2')),
  packed('\x89LZO\x00', 'compressed with lzop', unpacker('lzop', '.lzo')),
  packed('LZIP', 'compressed with lzip', unpacker('lzip', '.lz')),
  packed('PK\x03\x04', 'zip archive', ZIP),
  packed('7z\xbc\xaf\x27\x1c', '7z archive', SEVEN_ZIP),
  {
    bytes: 'ustar',
    offset: 257,
    code: 'unsupported-format',
    kind: 'tar archive',
    next: TAR,
  },
  packed('QFI\xfb', 'qcow2 disk image, not a memory dump'),
  packed('KDMV', 'VMDK disk image, not a memory dump'),
  // What migration sends; libvirt's `virsh dump` writes that to a file unless it is told otherwise.
  packed(
    'QEVM',
    'unsupported format (QEMU migration stream, as plain virsh dump writes)',
    MEMORY_ONLY,
  ),
  // QEMU_SAVE_MAGIC and QEMU_SAVE_PARTIAL (src/qemu/qemu_saveimage.h), before XML and that stream.
  packed(
    'LibvirtQemudSave',
    'unsupported format (guest state of virsh save)',
    'Start the guest again, then dump it with virsh dump --memory-only.',
  ),
  packed('LibvirtQemudPart', 'incomplete guest state of virsh save', MEMORY_ONLY),
  packed('DISKDUMP', 'unsupported format (diskdump of a 2.4 or 2.6 kernel)'),
  packed('\xed\x23\x8f\x61\x73\x01\x19\xa8', 'unsupported format (LKCD dump)'),
  packed('\xcd\x23\x8f\x61\x73\x01\x19\xa8', 'unsupported format (LKCD live dump)'),
  packed('\xa8\x19\x01\x73\x61\x8f\x23\xfd', 'unsupported format (stand-alone dump of s390x)'),
  packed('\xed\xeb\x0f\xf0', 'unsupported format (xendump of a Xen guest)'),
  packed('\xee\xeb\x0f\xf0', 'unsupported format (xendump of a Xen HVM guest)'),
  packed('LinuxGuestRecord', 'unsupported format (saved Xen guest)'),
  packed('sadump\x00\x00', 'unsupported format (sadump)', 'Convert it with makedumpfile.'),
  packed('PAGEDU64', 'unsupported format (Windows dump)'),
  packed('PAGEDUMP', 'unsupported format (32-bit Windows dump)'),
  ...[
    '\xd0\xbe\xd0\xbe',
    '\xd2\xbe\xd2\xbe',
    '\xd3\xbe\xd3\xbe',
    '\xd1\xba\xd1\xba',
    '\xd2\xba\xd2\xba',
  ].map((magic) =>
    packed(magic, 'unsupported format (VMware saved state)', 'Convert it with vmss2core.'),
  ),
  other('\x9f\xeb\x01', 'BTF data, not a dump'),
  other('HdrS', 'kernel image (vmlinuz), not a dump', 0x202),
  other('!<arch>\n', 'ar archive (such as a deb package), not a dump'),
  other('#!', 'script, not a dump'),
];

/** @throws {KernelError} if the file is of a kind that is known and not read. */
export function refuseForeign(source: ByteSource, head: DataView): void {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  const { name } = source;
  for (const { bytes: magic, offset = 0, code, kind, next } of FOREIGN) {
    if (bytes.toString('latin1', offset, offset + magic.length) !== magic) continue;
    const advice = typeof next === 'object' ? `Unpack it: ${unpackCommand(name, next)}` : next;
    throw new KernelError(code, `${name}: ${kind}`, advice === undefined ? {} : { next: advice });
  }
  if (head.byteLength > 0 && bytes.every((byte) => byte === 0)) {
    const what = `incomplete dump or copy (first ${head.byteLength} bytes are zero)`;
    throw new KernelError('damaged', `${name}: ${what}`);
  }
}
