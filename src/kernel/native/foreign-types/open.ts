// Types that are described otherwise than by BTF: DWARF and Volatility's ISF. Loaded only where --types
// names such a file.
import { execFileSync } from 'node:child_process';
import { KernelError } from '../../../base/errors/kernel.js';
import { programPath, safePath } from '../../../base/program-path.js';
import type { Btf } from '../btf/btf.js';
import { ElfFile, isElf64, readFileHead, readWholeFile } from '../elf-file.js';
import type { TypesFile } from '../types-file.js';
import { readDwarf } from './dwarf.js';
import { readIsf } from './isf.js';

/** Of JSON: tables of today's kernels have 30 MB. */
const MOST_TEXT = 256 << 20;
const XZ = Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0);
const UNPACK_MS = 60_000;

/**
 * Opens a vmlinux or .debug file with DWARF, or a table of Volatility (.json, .json.xz).
 *
 * @throws {KernelError} `unsupported-format` for what is neither; `no-types`, `damaged`, `wrong-vmlinux`
 */
export function openTypesFile(path: string): TypesFile {
  const head = readFileHead(path, 64);
  if (isElf64(head)) return openElf(path);
  const packed = XZ.every((byte, at) => head[at] === byte);
  const isText = packed || /^\s*\{/.test(Buffer.from(head).toString('latin1'));
  if (!isText)
    throw new KernelError('unsupported-format', `${path}: unsupported types (not BTF, ELF or ISF)`);
  const isf = named(path, () => readIsf(textOf(path, packed)));
  return { ...isf, path, form: 'ISF', load: () => isf.types };
}

function openElf(path: string): TypesFile {
  const elf = ElfFile.open(path);
  try {
    if (elf.isRelocatable)
      throw new KernelError(
        'unsupported-format',
        `${path}: types of a module, not of the kernel (relocatable object file)`,
      );
    if (!elf.section('.debug_info') && !elf.section('.zdebug_info'))
      throw new KernelError('no-types', `${path}: neither .BTF nor .debug_info`);
    const { buildId } = elf;
    let types: Btf | undefined;
    const load = (): Btf => {
      types ??= loadDwarf(path);
      return types;
    };
    return { path, form: 'DWARF', ...(buildId ? { buildId } : {}), load };
  } finally {
    elf.close();
  }
}

function loadDwarf(path: string): Btf {
  const elf = ElfFile.open(path);
  try {
    return named(path, () => readDwarf(elf));
  } finally {
    elf.close();
  }
}

/** Errors name the file, and what is wrong in it is the file's fault, not that of the dump. */
function named<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof KernelError) || error.message.startsWith(path)) throw error;
    const code = error.code === 'damaged' ? 'unsupported-format' : error.code;
    throw new KernelError(code, `${path}: ${error.message}`, { cause: error });
  }
}

function textOf(path: string, packed: boolean): string {
  const bytes = packed ? unpacked(path) : readWholeFile(path, MOST_TEXT);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function unpacked(path: string): Uint8Array {
  const xz = programPath('xz');
  if (xz === undefined)
    throw new KernelError('unsupported-format', `${path}: compressed file (xz is not installed)`, {
      next: 'Install xz-utils, or decompress it first.',
    });
  try {
    return execFileSync(xz, ['-dc', '--memlimit=256MiB', '--', path], {
      env: { PATH: safePath() },
      maxBuffer: MOST_TEXT,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: UNPACK_MS,
    });
  } catch (cause) {
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : '';
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    const why = code === 'ENOBUFS' ? `over ${MOST_TEXT} bytes` : said.split('\n', 1)[0] || code;
    throw new KernelError('unsupported-format', `${path}: corrupt (${why})`, { cause });
  }
}
