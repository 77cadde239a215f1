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
  /** What it is and, after a colon, what to do. */
  readonly says: string;
  /** What makes a dump of it. */
  readonly unpacking?: Unpacking;
}

function packed(bytes: string, says: string, unpacking?: Unpacking): Foreign {
  return { bytes, code: 'unsupported-format', says, ...(unpacking ? { unpacking } : {}) };
}

function other(bytes: string, says: string, offset = 0): Foreign {
  return { bytes, offset, code: 'not-a-dump', says };
}

/** Magic numbers as Latin-1 text. crash's headers name those of other dump formats. */
const FOREIGN: readonly Foreign[] = [
  packed('\x1f\x8b', 'is compressed with gzip', unpacker('gzip', '.gz')),
  packed('\xfd7zXZ\x00', 'is compressed with xz', unpacker('xz', '.xz')),
  packed('\x28\xb5\x2f\xfd', 'is compressed with zstd', unpacker('zstd', '.zst')),
  packed('\x04\x22\x4d\x18', 'is compressed with lz4', unpacker('lz4', '.lz4')),
  packed('\x02\x21\x4c\x18', 'is compressed with lz4', unpacker('lz4', '.lz4')),
  packed('BZh', 'is compressed with bzip2', unpacker('bzip2', '.bz2')),
  packed('\x89LZO\x00', 'is compressed with lzop', unpacker('lzop', '.lzo')),
  packed('LZIP', 'is compressed with lzip', unpacker('lzip', '.lz')),
  packed('PK\x03\x04', 'is a zip archive', ZIP),
  packed('7z\xbc\xaf\x27\x1c', 'is a 7z archive', SEVEN_ZIP),
  {
    bytes: 'ustar',
    offset: 257,
    code: 'unsupported-format',
    says: 'is a tar archive',
    unpacking: TAR,
  },
  packed('QFI\xfb', 'is a qcow2 disk, not a dump of memory'),
  packed('KDMV', 'is a VMDK disk, not a dump of memory'),
  // What migration sends; libvirt's `virsh dump` writes that to a file unless it is told otherwise.
  packed(
    'QEVM',
    "is the whole state of a guest (QEMU's migration stream, a plain `virsh dump`): dump again with `virsh dump --memory-only` or QEMU's `dump-guest-memory`",
  ),
  // QEMU_SAVE_MAGIC and QEMU_SAVE_PARTIAL (src/qemu/qemu_saveimage.h), before XML and that stream.
  packed(
    'LibvirtQemudSave',
    'is a guest that libvirt saved (`virsh save`): start it again and use `virsh dump --memory-only`',
  ),
  packed(
    'LibvirtQemudPart',
    'is a guest that libvirt did not finish saving: use `virsh dump --memory-only`',
  ),
  packed('DISKDUMP', 'is a diskdump of a 2.4 or 2.6 kernel, which is not read'),
  packed('\xed\x23\x8f\x61\x73\x01\x19\xa8', 'is an LKCD dump, which is not read'),
  packed('\xcd\x23\x8f\x61\x73\x01\x19\xa8', 'is an LKCD live dump, which is not read'),
  packed('\xa8\x19\x01\x73\x61\x8f\x23\xfd', 'is a stand-alone dump of an s390x machine'),
  packed('\xed\xeb\x0f\xf0', 'is a core of a Xen guest (xendump), which is not read'),
  packed('\xee\xeb\x0f\xf0', 'is a core of a Xen HVM guest (xendump), which is not read'),
  packed('LinuxGuestRecord', 'is a saved guest of Xen, which is not read'),
  packed('sadump\x00\x00', 'is a sadump, which is not read: convert it with makedumpfile'),
  packed('PAGEDU64', 'is a dump of Windows'),
  packed('PAGEDUMP', 'is a dump of 32-bit Windows'),
  ...[
    '\xd0\xbe\xd0\xbe',
    '\xd2\xbe\xd2\xbe',
    '\xd3\xbe\xd3\xbe',
    '\xd1\xba\xd1\xba',
    '\xd2\xba\xd2\xba',
  ].map((magic) =>
    packed(magic, "is VMware's saved state (vmss or vmsn): convert it with `vmss2core`"),
  ),
  other('\x9f\xeb\x01', 'is a blob of BTF, not a dump'),
  other('HdrS', 'is a kernel to boot (vmlinuz), not a dump', 0x202),
  other('!<arch>\n', 'is an ar archive (such as a deb package), not a dump'),
  other('#!', 'is a script, not a dump'),
];

/** @throws {KernelError} if the file is of a kind that is known and not read. */
export function refuseForeign(source: ByteSource, head: DataView): void {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  const { name } = source;
  for (const { bytes: magic, offset = 0, code, says, unpacking } of FOREIGN) {
    if (bytes.toString('latin1', offset, offset + magic.length) !== magic) continue;
    const next = unpacking && `Unpack it: ${unpackCommand(name, unpacking)}`;
    throw new KernelError(code, `${name} ${says}`, next === undefined ? {} : { next });
  }
  if (head.byteLength > 0 && bytes.every((byte) => byte === 0)) {
    const what = `${name} begins with ${head.byteLength} bytes of zeros`;
    throw new KernelError('damaged', `${what}: its copy or its dump was not finished`);
  }
}
