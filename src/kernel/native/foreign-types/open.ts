// Types in formats other than BTF: DWARF and Volatility's ISF. Loaded only if --types names such a file.
import { execFileSync } from 'node:child_process';
import { KernelError } from '../../../base/errors.js';
import { programPath, safePath } from '../../../base/shell.js';
import type { Btf } from '../btf/btf.js';
import { ElfFile, isElf64, readFileHead, readFullFile } from '../elf-file.js';
import type { TypesFile } from '../provenance.js';
import { readDwarf } from './dwarf.js';
import { readIsf } from './isf.js';

/** Maximum JSON size, and number of its values: tables of current kernels have 30 MB and 2 million. */
const MAX_TEXT = 128 << 20;
const MAX_VALUES = 1 << 23;
/** Characters that precede a value of JSON. */
const STRUCTURE = Uint8Array.from({ length: 256 }, (_, byte) => ('{[,:'.includes(String.fromCharCode(byte)) ? 1 : 0));
const XZ = Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0);
const UNPACK_MS = 30_000;

/**
 * Opens a vmlinux or .debug file with DWARF, or a Volatility symbol table (.json, .json.xz).
 *
 * @throws {KernelError} `unsupported-format` for any other file; `no-types`, `damaged`, `wrong-vmlinux`
 */
export function openTypesFile(path: string): TypesFile {
  const head = readFileHead(path, 64);
  if (isElf64(head)) return openElf(path);
  const packed = XZ.every((byte, at) => head[at] === byte);
  const isText = packed || /^\s*\{/.test(Buffer.from(head).toString('latin1'));
  if (!isText) throw new KernelError('unsupported-format', `${path}: unsupported types (not BTF, ELF or ISF)`);
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

/** Adds the file's name to errors: they concern the types file, not the dump. */
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
  const bytes = packed ? unpacked(path) : readFullFile(path, MAX_TEXT);
  let values = 0;
  // Before it is parsed, which takes minutes and gigabytes otherwise.
  for (const byte of bytes) if (STRUCTURE[byte] === 1) values++;
  if (values > MAX_VALUES)
    throw new KernelError(
      'unsupported-format',
      `${path}: over ${MAX_VALUES} values, far more than types of any kernel`,
    );
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
      maxBuffer: MAX_TEXT,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: UNPACK_MS,
    });
  } catch (cause) {
    const output = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : '';
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    const why = code === 'ENOBUFS' ? `over ${MAX_TEXT} bytes` : output.split('\n', 1)[0] || code;
    throw new KernelError('unsupported-format', `${path}: corrupt (${why})`, { cause });
  }
}
