/** A PT_LOAD to write; its bytes follow the headers in the file, in this order. */
export interface LoadSpec {
  readonly physical: bigint;
  readonly virtual?: bigint;
  readonly data: Uint8Array;
  /** p_memsz; by default the length of `data`. */
  readonly memorySize?: number;
  /** p_filesz; by default the length of `data`. */
  readonly fileSize?: number;
  /** p_offset, in place of the actual offset of `data`. */
  readonly offset?: bigint;
}

export interface NoteSpec {
  readonly name: string;
  readonly type: number;
  readonly data: Uint8Array;
}

export interface ElfSpec {
  readonly loads: readonly LoadSpec[];
  readonly notes?: readonly NoteSpec[];
  readonly machine?: number;
  readonly type?: number;
  /** Writes e_phnum 0xffff, and the count in sh_info of section 0. */
  readonly pnXnum?: boolean;
  readonly class32?: boolean;
  readonly bigEndian?: boolean;
}

const EHDR = 64;
const PHDR = 56;
const SHDR = 64;

/** An ELF64 core in the format of kdump, QEMU or /proc/kcore. */
export function writeElf(spec: ElfSpec): Uint8Array {
  const little = !spec.bigEndian;
  const notes = writeNotes(spec.notes ?? []);
  const count = spec.loads.length + 1;
  const sections = EHDR + count * PHDR;
  const notesAt = sections + SHDR;
  const dataAt = Math.ceil((notesAt + notes.length) / 4096) * 4096;
  const total = spec.loads.reduce((sum, { data }) => sum + data.length, dataAt);
  const out = new Uint8Array(total);
  const view = new DataView(out.buffer);
  out.set([0x7f, 0x45, 0x4c, 0x46, spec.class32 ? 1 : 2, little ? 1 : 2, 1]);
  view.setUint16(16, spec.type ?? 4, little);
  view.setUint16(18, spec.machine ?? 62, little);
  view.setBigUint64(32, BigInt(EHDR), little);
  view.setBigUint64(40, spec.pnXnum ? BigInt(sections) : 0n, little);
  view.setUint16(52, EHDR, little);
  view.setUint16(54, PHDR, little);
  view.setUint16(56, spec.pnXnum ? 0xffff : count, little);
  if (spec.pnXnum) view.setUint32(sections + 44, count, little);

  const header = (i: number, type: number, fields: readonly bigint[]): void => {
    view.setUint32(EHDR + i * PHDR, type, little);
    fields.forEach((field, f) => {
      view.setBigUint64(EHDR + i * PHDR + 8 + f * 8, BigInt.asUintN(64, field), little);
    });
  };
  header(0, 4, [BigInt(notesAt), 0n, 0n, BigInt(notes.length), BigInt(notes.length)]);
  out.set(notes, notesAt);
  let at = dataAt;
  spec.loads.forEach(({ physical, virtual = 0n, data, memorySize, fileSize, offset }, i) => {
    const size = BigInt(fileSize ?? data.length);
    header(i + 1, 1, [
      offset ?? BigInt(at),
      virtual,
      physical,
      size,
      memorySize === undefined ? size : BigInt(memorySize),
    ]);
    out.set(data, at);
    at += data.length;
  });
  return out;
}

/** Notes in ELF format: names end in NUL, names and data are padded to 4 bytes. */
export function writeNotes(notes: readonly NoteSpec[]): Uint8Array {
  return Buffer.concat(
    notes.map(({ name, type, data }) => {
      const nameBytes = Buffer.from(`${name}\0`, 'latin1');
      const head = Buffer.alloc(12);
      head.writeUInt32LE(nameBytes.length, 0);
      head.writeUInt32LE(data.length, 4);
      head.writeUInt32LE(type, 8);
      return Buffer.concat([head, padded(nameBytes), padded(data)]);
    }),
  );
}

/** The VMCOREINFO note with this text. */
export function vmcoreinfoNote(text: string): NoteSpec {
  return { name: 'VMCOREINFO', type: 0, data: Buffer.from(text, 'latin1') };
}

function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
