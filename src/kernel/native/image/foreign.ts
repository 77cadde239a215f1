import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { errorCode, KernelError } from '../../../base/errors.js';
import { shellPath } from '../../../base/shell.js';
import { type ByteSource, FileSource, readHead } from './byte-source.js';
import { isKdumpCompressed, readDiskdumpHeader } from './diskdump/header.js';
import { ET_CORE, isElf } from './elf/header.js';
import { isFlattened } from './flattened/flattened.js';

/** How to unpack a compressed file: its usual suffix, and the command that creates `to` from `from`. */
interface Unpacking {
  readonly suffix: string;
  /** Both arguments are quoted for a shell. */
  command(from: string, to: string): string;
}

/** A program that decompresses its stdin, independent of the file's name, and keeps the file. */
function unpacker(program: string, suffix: string): Unpacking {
  return { suffix, command: (from, to) => `${program} -dc < ${from} > ${to}` };
}

/** Returns the command that unpacks a file, for printing, with an output name that does not exist yet. */
function unpackCommand(file: string, { suffix, command }: Unpacking): string {
  const bare = file.toLowerCase().endsWith(suffix) ? file.slice(0, -suffix.length) : '';
  const first = bare === '' || bare.endsWith('/') ? `${file}.unpacked` : bare;
  let to = first;
  for (let attempt = 1; existsSync(to) && attempt < MAX_TRIED; attempt++)
    to = `${file}.unpacked${attempt === 1 ? '' : attempt}`;
  return command(shellPath(file), shellPath(to));
}

const MAX_TRIED = 100;

const TAR: Unpacking = { suffix: '.tar', command: (from, to) => `mkdir ${to} && tar -C ${to} -xf - < ${from}` };
const ZIP: Unpacking = { suffix: '.zip', command: (from, to) => `unzip -d ${to} ${from}` };
const SEVEN_ZIP: Unpacking = { suffix: '.7z', command: (from, to) => `7z x -o${to} -- ${from}` };

/** A kind of file that users pass instead of a readable dump. */
interface Foreign {
  readonly bytes: string;
  readonly offset?: number;
  /** `unsupported-format` if it contains a dump, `not-a-dump` otherwise. */
  readonly code: 'unsupported-format' | 'not-a-dump';
  readonly kind: string;
  /** Next step: how to unpack the file, or a sentence. */
  readonly next?: Unpacking | string;
}

function packed(bytes: string, kind: string, next?: Unpacking | string): Foreign {
  return { bytes, code: 'unsupported-format', kind, ...(next === undefined ? {} : { next }) };
}

function foreign(bytes: string, kind: string, offset = 0): Foreign {
  return { bytes, offset, code: 'not-a-dump', kind };
}

const MEMORY_ONLY = 'Dump again with virsh dump --memory-only, or with dump-guest-memory of the QEMU monitor.';

/** Magic numbers as Latin-1 text. Those of other dump formats are from crash's headers. */
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
  { bytes: 'ustar', offset: 257, code: 'unsupported-format', kind: 'tar archive', next: TAR },
  packed('QFI\xfb', 'qcow2 disk image, not a memory dump'),
  packed('KDMV', 'VMDK disk image, not a memory dump'),
  // The migration stream; libvirt's `virsh dump` writes it to a file by default.
  packed('QEVM', 'unsupported format (QEMU migration stream, as plain virsh dump writes)', MEMORY_ONLY),
  // QEMU_SAVE_MAGIC and QEMU_SAVE_PARTIAL (src/qemu/qemu_saveimage.h), before XML and the migration stream.
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
  ...['\xd0\xbe\xd0\xbe', '\xd2\xbe\xd2\xbe', '\xd3\xbe\xd3\xbe', '\xd1\xba\xd1\xba', '\xd2\xba\xd2\xba'].map((magic) =>
    packed(magic, 'unsupported format (VMware saved state)', 'Convert it with vmss2core.'),
  ),
  foreign('\x9f\xeb\x01', 'BTF data, not a dump'),
  foreign('HdrS', 'kernel image (vmlinuz), not a dump', 0x202),
  foreign('!<arch>\n', 'ar archive (such as a deb package), not a dump'),
  foreign('#!', 'script, not a dump'),
];

/** @throws {KernelError} if the file is of a known but unsupported kind. */
export function rejectForeign(source: ByteSource, head: DataView): void {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  const { name } = source;
  for (const { bytes: magic, offset = 0, code, kind, next } of FOREIGN) {
    if (bytes.toString('latin1', offset, offset + magic.length) !== magic) continue;
    const advice = typeof next === 'object' ? `Unpack it: ${unpackCommand(name, next)}` : next;
    throw new KernelError(code, `${name}: ${kind}`, advice === undefined ? {} : { next: advice });
  }
  if (head.byteLength > 0 && bytes.every((byte) => byte === 0)) {
    const problem = `incomplete dump or copy (first ${head.byteLength} bytes are zero)`;
    throw new KernelError('damaged', `${name}: ${problem}`);
  }
}

/** Kind of a file according to its first bytes. */
interface FileKind {
  /** A dump, or an attempt at one: opening it reports the problem. */
  readonly isDump: boolean;
  /** Identity of a split dump: equal for all of its parts. */
  readonly partOf?: string;
}

const HEAD = 65536;

/**
 * Distinguishes dumps from other files next to them. The name counts only if the content is
 * inconclusive: for files that are empty, compressed, or begin with zeros.
 *
 * @throws {KernelError} `no-such-file`, `permission`, `not-a-dump` if it is not a regular file
 */
export function recognise(path: string): FileKind {
  const source = new FileSource(path);
  try {
    const head = readHead(source, 0, HEAD);
    if (isKdumpCompressed(head)) return { isDump: true, ...partOf(source) };
    if (isFlattened(head) || isCore(head)) return { isDump: true };
    if (!DUMP.test(basename(path))) return { isDump: false };
    return { isDump: head.byteLength === 0 || isPlainName(path) || isWrapped(source, head) };
  } finally {
    source.close();
  }
}

/** In any byte order: an unsupported core still gets its own message. */
function isCore(head: DataView): boolean {
  if (!isElf(head) || head.byteLength < 18) return false;
  return head.getUint16(16, head.getUint8(5) !== 2) === ET_CORE;
}

/** Whether the name is one that kdump gives to dumps, without a suffix that may mean a checksum or notes. */
function isPlainName(path: string): boolean {
  return !basename(path).startsWith('vmcore.');
}

function isWrapped(source: FileSource, head: DataView): boolean {
  try {
    rejectForeign(source, head);
    return false;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return error.code !== 'not-a-dump';
  }
}

function partOf(source: FileSource): Pick<FileKind, 'partOf'> {
  try {
    const { split, identity } = readDiskdumpHeader(source);
    if (split === undefined) return {};
    return { partOf: createHash('sha256').update(identity, 'latin1').digest('hex') };
  } catch (error) {
    if (error instanceof KernelError) return {};
    throw error;
  }
}

/**
 * Finds the dump in a directory such as /var/crash/127.0.0.1-2026-11-20-04:12:00: RHEL and SUSE
 * write `vmcore` (or `vmcore.flat`), Debian's kdump-tools `dump.YYYYMMDDHHMM`. If there is none,
 * also searches one level down, since each dump gets its own directory.
 *
 * @returns `path` itself if it is not a directory.
 * @throws {KernelError} if the directory contains no dump, or several.
 */
export function dumpIn(path: string): string {
  // Node treats such a name as a programming error.
  if (path.includes('\0')) throw new KernelError('no-such-file', 'the file name contains a NUL byte');
  if (!isDirectory(path)) return path;
  let dumps = candidates(path);
  const closed: string[] = [];
  if (dumps.length === 0) {
    dumps = entries(path)
      .map((name) => join(path, name))
      .filter(isDirectory)
      .flatMap((directory) => candidatesOrNone(directory, closed));
  }
  if (dumps.length === 0) {
    const why = closed.length > 0 ? `${closed[0]}: permission denied` : NAMES;
    const message = `${path}: no dump found (${why})`;
    throw new KernelError('no-such-file', message, { next: 'Name the file itself.' });
  }
  if (dumps.length === 1) return dumps[0]!;
  const named = dumps.slice(0, MAX_NAMED).join(', ');
  const suffix = dumps.length > MAX_NAMED ? ` and ${dumps.length - MAX_NAMED} more` : '';
  throw new KernelError('not-a-dump', `${path}: several dumps found (${named}${suffix})`, {
    next: `Name one: --vmcore ${shellPath(dumps[0]!)}`,
  });
}

const MAX_NAMED = 6;
/** Description of the names that {@link DUMP} matches. */
const NAMES = 'no vmcore, vmcore.*, *.vmcore or dump.YYYYMMDDHHMM there or one directory below';
/** Names that kdump and similar tools give to dumps. */
const DUMP = /^(vmcore|vmcore\.(?!log$|txt$).*|(?:.*\.vmcore|dump\.\d{8,14})(?:\.(?:gz|xz|zst|bz2|lz4))?)$/;

/** A plain `vmcore` takes precedence over copies next to it (`vmcore.flat`, `vmcore.zst`). */
function candidates(directory: string): string[] {
  const named = entries(directory).filter((name) => DUMP.test(name));
  const best = named.includes('vmcore') ? ['vmcore'] : named.sort();
  return best.map((name) => join(directory, name)).filter((path) => !isDirectory(path));
}

/** Returns no candidates for a directory that cannot be listed (lost+found), and adds its path to `closed`. */
function candidatesOrNone(directory: string, closed: string[]): string[] {
  try {
    return candidates(directory);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    closed.push(directory);
    return [];
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (cause) {
    const code = errorCode(cause);
    const denied = code === 'EACCES' || code === 'EPERM';
    if (!denied && code !== 'ENOENT') throw cause;
    const message = `${directory}: ${denied ? 'permission denied' : 'not found'}`;
    throw new KernelError(denied ? 'permission' : 'no-such-file', message, { cause });
  }
}
