import { KernelError } from '../../../../base/errors/kernel.js';
import { hex } from '../../../../base/hex.js';
import type { ByteWindow } from '../../../fast-reads.js';
import { type ByteSource, CUT_STREAM, readHead, wrappingOf } from '../byte-source.js';
import type { BlockCache } from '../cache.js';
import type { ImageFormat } from '../format.js';
import type { ImageFacts, MemoryImage, VirtualRange } from '../image.js';
import { MOST_NOTE_BYTES, MOST_NOTES, type Note, notes, vmcoreinfoOf } from '../notes.js';
import {
  isElf,
  type ProgramHeader,
  PT_LOAD,
  PT_NOTE,
  programHeaders,
  readElfHeader,
} from './header.js';
import { SegmentTable } from './segment-table.js';
import { SegmentMemory } from './segments.js';

/**
 * ELF64 cores: /proc/vmcore and its copies, `makedumpfile -E`, QEMU's and libvirt's, and /proc/kcore,
 * whose program headers have the same form.
 */
export const elf: ImageFormat = {
  name: 'ELF core',
  probe: (head) => (isElf(head) ? undefined : 'no \x7fELF header'),
  open: (sources, cache) => new ElfImage(sources, cache),
};

/** Physical addresses have 52 bits at most, on x86_64 and on arm64. */
const PHYSICAL_END = 2n ** 52n;
const KERNEL_HALF = 2n ** 63n;

class ElfImage implements MemoryImage {
  readonly facts: ImageFacts;
  readonly vmcoreinfo: string | undefined;
  readonly notes: readonly Note[];
  readonly virtualRanges: Iterable<VirtualRange>;
  readonly #source: ByteSource;
  readonly #memory: SegmentMemory;
  readonly #live: boolean;

  constructor(sources: readonly ByteSource[], cache: BlockCache) {
    const source = sources[0]!;
    if (sources.length > 1) {
      const message = `${source.name}: an ELF core is one file, but ${sources.length} were given`;
      throw new KernelError('unsupported-format', message);
    }
    this.#source = source;
    const header = readElfHeader(source);
    const headers = { [Symbol.iterator]: () => programHeaders(source, header) };
    const anomalies: string[] = [];
    const found = readNotes(source, headers, anomalies);
    refuseProcessCore(source, found);
    refuseXen(source, found);
    this.notes = found;
    this.vmcoreinfo = found.map(vmcoreinfoOf).find((text) => text !== undefined);
    this.#live = isKcore(source, found);

    const { count } = header.programHeaders;
    const segments = loads(headers, count, this.#live, anomalies);
    if (segments.length === 0) {
      throw new KernelError('damaged', `${source.name}: the ELF core contains no memory`);
    }
    noteCutEnd(source, segments, anomalies);
    const memory = new SegmentMemory(source, segments, cache);
    this.#memory = memory;
    this.virtualRanges = { [Symbol.iterator]: () => memory.virtualRanges() };
    this.facts = {
      format: this.#live ? 'kcore' : 'elf',
      description: describe(this.#live, found, segments) + wrappingOf(source),
      compression: ['none'],
      machine: header.machine,
      dumpLevel: undefined,
      files: [source.name],
      physicalRanges: { [Symbol.iterator]: () => memory.physicalRanges() },
      live: this.#live,
      anomalies,
    };
  }

  readPhysical(address: number, length: number): DataView {
    return this.#memory.readPhysical(address, length);
  }

  show(address: number, length: number, window: ByteWindow): boolean {
    return this.#memory.show(address, length, window);
  }

  readVirtual(address: bigint, length: number): DataView | undefined {
    return this.#memory.readVirtual(address, length);
  }

  noteReads(): () => void {
    return this.#live ? this.#memory.noteReads() : () => {};
  }

  close(): void {
    this.#source.close();
  }
}

function readNotes(
  source: ByteSource,
  headers: Iterable<ProgramHeader>,
  anomalies: string[],
): Note[] {
  const found: Note[] = [];
  let claimed = 0;
  let read = 0;
  for (const { type, offset, fileSize } of headers) {
    if (type !== PT_NOTE || found.length >= MOST_NOTES) continue;
    const length = Number(fileSize);
    const area = readHead(source, Number(offset), Math.min(length, MOST_NOTE_BYTES - read));
    claimed += length;
    read += area.byteLength;
    for (const note of notes(area)) found.push(note);
  }
  if (read < claimed) anomalies.push(`ELF notes truncated (${read} of ${claimed} bytes read)`);
  return found;
}

/** @param most how many there can be */
function loads(
  headers: Iterable<ProgramHeader>,
  most: number,
  kcore: boolean,
  anomalies: string[],
): SegmentTable {
  // /proc/kcore before 4.11 writes 0 for every physical address.
  const physicalKnown = !kcore || anyPhysical(headers);
  const segments = new SegmentTable(most);
  let beyond = 0;
  let first = 0n;
  for (const { type, offset, virtual, physical, fileSize, memorySize } of headers) {
    if (type !== PT_LOAD || memorySize === 0n) continue;
    const stored = Number(fileSize);
    const described = Math.max(stored, Number(memorySize));
    // /proc/kcore has -1 for vmalloc and vmemmap.
    const known = physicalKnown && physical + BigInt(described) <= PHYSICAL_END;
    // QEMU writes the physical address or 0: a kernel's addresses are in the upper half.
    const virtualKnown = virtual >= KERNEL_HALF && virtual + BigInt(described) <= 2n ** 64n;
    if (!known && !virtualKnown) {
      if (beyond++ === 0) first = physical;
      continue;
    }
    segments.add({
      offset,
      virtual: virtualKnown ? virtual : undefined,
      physical: known ? Number(physical) : undefined,
      stored,
      described,
    });
  }
  if (beyond > 0) {
    const at = hex(first);
    const which = beyond === 1 ? `segment at ${at}` : `${beyond} segments (first at ${at})`;
    anomalies.push(`${which} beyond physical memory ignored`);
  }
  return segments;
}

function anyPhysical(headers: Iterable<ProgramHeader>): boolean {
  for (const { type, physical, memorySize } of headers) {
    if (type === PT_LOAD && memorySize > 0n && physical !== 0n) return true;
  }
  return false;
}

function noteCutEnd(source: ByteSource, segments: SegmentTable, anomalies: string[]): void {
  let needed = 0;
  for (let segment = 0; segment < segments.length; segment++) {
    const stored = segments.stored[segment]!;
    if (stored > 0) needed = Math.max(needed, Number(segments.offset(segment)) + stored);
  }
  if (source.cut) anomalies.push(CUT_STREAM);
  else if (needed > source.size) {
    anomalies.push(`truncated (needs ${needed} bytes, has ${source.size})`);
  }
}

const NT_TASKSTRUCT = 4;
const NT_AUXV = 6;

/** Only /proc/kcore writes a NT_TASKSTRUCT note (fs/proc/kcore.c). */
function isKcore(source: ByteSource, found: readonly Note[]): boolean {
  if (source.size === Number.POSITIVE_INFINITY) return true;
  return found.some((note) => note.name === 'CORE' && note.type === NT_TASKSTRUCT);
}

/** @throws {KernelError} `not-a-dump` for the core of a process (only those carry its auxv). */
function refuseProcessCore(source: ByteSource, found: readonly Note[]): void {
  if (!found.some((note) => note.name === 'CORE' && note.type === NT_AUXV)) return;
  throw new KernelError('not-a-dump', `${source.name}: core dump of a process, not of a kernel`);
}

function describe(kcore: boolean, found: readonly Note[], segments: SegmentTable): string {
  if (kcore) return '/proc/kcore';
  if (segments.described.some((bytes, segment) => bytes > segments.stored[segment]!)) {
    return 'ELF core (filtered by makedumpfile)';
  }
  if (found.some((note) => note.name === 'QEMU')) return 'ELF core (QEMU)';
  return segments.hasVirtual ? 'ELF core (kdump)' : 'ELF core (no virtual addresses)';
}

/** @throws {KernelError} `unsupported-format` for a Xen host's dump: its addresses are the host's. */
function refuseXen(source: ByteSource, found: readonly Note[]): void {
  if (!found.some(({ name }) => name === 'Xen' || name === 'VMCOREINFO_XEN')) return;
  throw new KernelError('unsupported-format', `${source.name}: unsupported format (Xen dump)`);
}
