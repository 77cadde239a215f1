import { bytesOf, textOf } from '../../bytes.js';

/** An ELF note: owner, type, and its bytes. */
export interface Note {
  readonly name: string;
  readonly type: number;
  readonly data: DataView;
}

/** Notes are read up to this size in all: 64 MiB holds those of 100,000 CPUs. */
export const MOST_NOTE_BYTES = 64 * 1024 * 1024;
/** More notes than this are damage: there are two or three a CPU. */
export const MOST_NOTES = 100_000;

/**
 * The notes of a PT_NOTE segment (or of a diskdump's notes area), little-endian; ends quietly where
 * the area is cut or damaged. Names and data are padded to 4 bytes, as Linux pads them whatever
 * p_align says.
 */
export function* notes(area: DataView): Generator<Note> {
  let at = 0;
  for (let i = 0; i < MOST_NOTES && at + 12 <= area.byteLength; i++) {
    const nameSize = area.getUint32(at, true);
    const dataSize = area.getUint32(at + 4, true);
    const type = area.getUint32(at + 8, true);
    const dataAt = at + 12 + padded(nameSize);
    const end = dataAt + dataSize;
    if (end > area.byteLength) return;
    // /proc/vmcore leaves room between CPUs' notes: zeros are not a note.
    if (nameSize > 0 || dataSize > 0) {
      const name = textOf(bytesOf(area, at + 12, nameSize));
      yield { name, type, data: new DataView(area.buffer, area.byteOffset + dataAt, dataSize) };
    }
    at = dataAt + padded(dataSize);
  }
}

/** The text of the VMCOREINFO note; it need not end in NUL. */
export function vmcoreinfoOf(note: Note): string | undefined {
  return note.name === 'VMCOREINFO' ? textOf(bytesOf(note.data)) : undefined;
}

export const NT_PRSTATUS = 1;
/** sizeof(struct elf_prstatus), which differs between little-endian machines of 64 bits. */
const PRSTATUS_MACHINES: Readonly<Record<number, string>> = {
  336: 'x86_64',
  376: 'riscv64',
  392: 'aarch64',
  480: 'loongarch64',
  504: 'ppc64le',
};

/** The machine that a CPU's registers belong to, where no header names it. */
export function machineOfNote({ name, type, data }: Note): string | undefined {
  const isStatus = name === 'CORE' && type === NT_PRSTATUS;
  return isStatus ? PRSTATUS_MACHINES[data.byteLength] : undefined;
}

/** Notes of CPUs' registers, in their order. QEMU writes them itself: before a kernel has crashed, or beside notes of its own. */
export function statusNotes(
  all: readonly Note[],
  crashed: boolean,
): { readonly by: 'kernel' | 'qemu'; readonly notes: readonly DataView[] } {
  const notes = all
    .filter(({ name, type }) => name === 'CORE' && type === NT_PRSTATUS)
    .map(({ data }) => data);
  const byQemu = !crashed || all.some(({ name }) => name === 'QEMU');
  return { by: byQemu ? 'qemu' : 'kernel', notes };
}

function padded(size: number): number {
  return Math.ceil(size / 4) * 4;
}
