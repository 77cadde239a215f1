const HEADER = 64;
const ENTRY = 64;

export interface WrittenSection {
  readonly name: string;
  /** SHT_PROGBITS 1, SHT_SYMTAB 2, SHT_STRTAB 3, SHT_NOTE 7, SHT_NOBITS 8. */
  readonly type: number;
  readonly flags?: bigint;
  readonly bytes: Uint8Array;
  readonly link?: number;
}

/** An ELF64 file with sections, such as a vmlinux. Section 0 is empty; the section names come last. */
export function writeElfFile(sections: readonly WrittenSection[]): Uint8Array {
  const all: WrittenSection[] = [
    { name: '', type: 0, bytes: new Uint8Array(0) },
    ...sections,
    { name: '.shstrtab', type: 3, bytes: new Uint8Array(0) },
  ];
  const nameAt: number[] = [];
  let names = '';
  for (const { name } of all) {
    nameAt.push(names.length);
    names += `${name}\0`;
  }
  all[all.length - 1] = { name: '.shstrtab', type: 3, bytes: Buffer.from(names, 'latin1') };
  const parts: Uint8Array[] = [];
  const offsets: number[] = [];
  let at = HEADER;
  for (const { bytes } of all) {
    offsets.push(at);
    const padded = new Uint8Array(Math.ceil(bytes.length / 8) * 8);
    padded.set(bytes);
    parts.push(padded);
    at += padded.length;
  }
  const table = Buffer.alloc(all.length * ENTRY);
  for (const [index, { type, flags = 0n, bytes, link = 0 }] of all.entries()) {
    table.writeUInt32LE(nameAt[index]!, index * ENTRY);
    table.writeUInt32LE(type, index * ENTRY + 4);
    table.writeBigUInt64LE(flags, index * ENTRY + 8);
    table.writeBigUInt64LE(BigInt(offsets[index]!), index * ENTRY + 24);
    table.writeBigUInt64LE(BigInt(bytes.length), index * ENTRY + 32);
    table.writeUInt32LE(link, index * ENTRY + 40);
  }
  const header = Buffer.alloc(HEADER);
  header.write('\x7fELF\x02\x01\x01', 'latin1');
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(62, 18);
  header.writeBigUInt64LE(BigInt(at), 40);
  header.writeUInt16LE(HEADER, 52);
  header.writeUInt16LE(ENTRY, 58);
  header.writeUInt16LE(all.length, 60);
  header.writeUInt16LE(all.length - 1, 62);
  return Buffer.concat([header, ...parts, table]);
}

/** A `.symtab` with its strings; `section` is the index of the symbol's section, 0xfff1 absolute. */
export function writeSymtab(
  symbols: readonly {
    readonly name: string;
    readonly address: bigint;
    readonly section: number;
    readonly binding?: 'local' | 'global' | 'weak';
    readonly kind?: number;
  }[],
): { readonly symtab: Uint8Array; readonly strings: Uint8Array } {
  const symtab = Buffer.alloc((symbols.length + 1) * 24);
  let strings = '\0';
  for (const [index, symbol] of symbols.entries()) {
    const at = (index + 1) * 24;
    const binding = { local: 0, global: 1, weak: 2 }[symbol.binding ?? 'global'];
    symtab.writeUInt32LE(strings.length, at);
    symtab.writeUInt8((binding << 4) | (symbol.kind ?? 1), at + 4);
    symtab.writeUInt16LE(symbol.section, at + 6);
    symtab.writeBigUInt64LE(symbol.address, at + 8);
    strings += `${symbol.name}\0`;
  }
  return { symtab, strings: Buffer.from(strings, 'latin1') };
}

/** The note that holds a GNU build id, given in hex. */
export function buildIdNote(id: string): Uint8Array {
  const bytes = Buffer.from(id, 'hex');
  const head = Buffer.alloc(16);
  head.writeUInt32LE(4, 0);
  head.writeUInt32LE(bytes.length, 4);
  head.writeUInt32LE(3, 8);
  head.write('GNU\0', 12, 'latin1');
  return Buffer.concat([head, bytes]);
}
