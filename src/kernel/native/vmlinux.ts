import { KernelError } from '../../base/errors/kernel.js';
import { viewOf } from '../bytes.js';
import type { ElfFile } from './elf-file.js';
import { ListedSymbols, relocated } from './symbols.js';

const SYMBOL_BYTES = 24;
const MOST_SYMBOLS = 1 << 23;
const SHN_UNDEF = 0;
const SHN_ABS = 0xfff1;
const STB_LOCAL = 0;
const STB_WEAK = 2;
const STT_SECTION = 3;
const STT_FILE = 4;
const SHT_NOBITS = 8;
const SHF_WRITE = 1n;
const SHF_EXECINSTR = 4n;

/**
 * The symbols in a vmlinux's `.symtab`, moved by what KASLR added; undefined if it has none.
 *
 * @throws {KernelError} `wrong-vmlinux` when the section does not hold together
 */
export function readSymtab(elf: ElfFile, kernelOffset: bigint): ListedSymbols | undefined {
  const section = elf.section('.symtab');
  const strings = section && elf.sections[section.link];
  if (section === undefined || strings === undefined) return undefined;
  const bytes = elf.read(section);
  const text = elf.read(strings);
  const view = viewOf(bytes);
  const most = Math.floor(bytes.length / SYMBOL_BYTES);
  if (most > MOST_SYMBOLS)
    throw new KernelError('wrong-vmlinux', `${elf.path}: too many symbols in .symtab (${most})`);

  const letters = elf.sections.map(({ type, flags }) =>
    flags & SHF_EXECINSTR ? 't' : type === SHT_NOBITS ? 'b' : flags & SHF_WRITE ? 'd' : 'r',
  );
  const nameAt = new Int32Array(most);
  const types = new Uint8Array(most);
  const addresses = new BigUint64Array(most);
  let count = 0;
  for (let at = 0; at + SYMBOL_BYTES <= bytes.length; at += SYMBOL_BYTES) {
    const name = view.getUint32(at, true);
    const info = bytes[at + 4]!;
    const home = view.getUint16(at + 6, true);
    const kind = info & 15;
    if (name === 0 || name >= text.length || home === SHN_UNDEF) continue;
    if (kind === STT_FILE || kind === STT_SECTION) continue;
    const binding = info >>> 4;
    const letter = binding === STB_WEAK ? 'w' : home === SHN_ABS ? 'a' : (letters[home] ?? 'n');
    nameAt[count] = name;
    types[count] = (binding === STB_LOCAL ? letter : letter.toUpperCase()).charCodeAt(0);
    addresses[count++] = relocated(view.getBigUint64(at + 8, true), kernelOffset);
  }
  return new ListedSymbols(
    text,
    nameAt.subarray(0, count),
    0,
    types.subarray(0, count),
    addresses.subarray(0, count),
  );
}
