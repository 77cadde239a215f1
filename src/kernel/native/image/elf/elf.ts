import { KernelError } from '../../../../base/errors.js';
import { hex } from '../../../../base/util.js';
import type { ByteWindow } from '../../../bytes.js';
import type { FileRange } from '../../../kernel.js';
import { type ByteSource, CUT_STREAM, readHead, wrappingOf } from '../byte-source.js';
import type { BlockCache } from '../cache.js';
import type { ImageFacts, ImageFormat, MemoryImage, VirtualRange } from '../image.js';
import { MAX_NOTE_BYTES, MAX_NOTES, type Note, notes, vmcoreinfoOf } from '../notes.js';
import { isElf, type ProgramHeader, PT_LOAD, PT_NOTE, programHeaders, readElfHeader, SegmentTable } from './header.js';
import { SegmentMemory } from './segments.js';

/**
 * ELF64 cores: /proc/vmcore and copies of it, the output of `makedumpfile -E`, QEMU and libvirt,
 * and /proc/kcore, which has the same program headers.
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
  readonly inFile: Iterable<FileRange> | undefined;
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
    const notes = readNotes(source, headers, anomalies);
    rejectProcessCore(source, notes);
    rejectXen(source, notes);
    this.notes = notes;
    this.vmcoreinfo = notes.map(vmcoreinfoOf).find((text) => text !== undefined);
    this.#live = isKcore(source, notes);

    const { count } = header.programHeaders;
    const segments = loads(headers, count, this.#live, anomalies);
    if (segments.length === 0) {
      throw new KernelError('damaged', `${source.name}: the ELF core contains no memory`);
    }
    noteCutEnd(source, segments, anomalies);
    const memory = new SegmentMemory(source, segments, cache);
    this.#memory = memory;
    const odd = this.#live ? undefined : memory.contradiction();
    const contradiction =
      odd === undefined ? undefined : `two segments contain different bytes of physical memory at ${hex(BigInt(odd))}`;
    if (contradiction !== undefined) anomalies.push(contradiction);
    this.virtualRanges = { [Symbol.iterator]: () => memory.virtualRanges() };
    const { descriptor } = source;
    this.inFile = descriptor === undefined ? undefined : { [Symbol.iterator]: () => memory.fileRanges(descriptor) };
    this.facts = {
      format: this.#live ? 'kcore' : 'elf',
      description: describe(this.#live, notes, segments) + wrappingOf(source),
      compression: ['none'],
      machine: header.machine,
      dumpLevel: undefined,
      files: [source.name],
      physicalRanges: { [Symbol.iterator]: () => memory.physicalRanges() },
      live: this.#live,
      anomalies,
      contradiction,
    };
  }

  readPhysical(address: number, length: number): DataView {
    return this.#memory.readPhysical(address, length);
  }

  locate(address: number, length: number, window: ByteWindow): boolean {
    return this.#memory.locate(address, length, window);
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

function readNotes(source: ByteSource, headers: Iterable<ProgramHeader>, anomalies: string[]): Note[] {
  const list: Note[] = [];
  let claimed = 0;
  let read = 0;
  for (const { type, offset, fileSize } of headers) {
    if (type !== PT_NOTE || list.length >= MAX_NOTES) continue;
    const length = Number(fileSize);
    const area = readHead(source, Number(offset), Math.min(length, MAX_NOTE_BYTES - read));
    claimed += length;
    read += area.byteLength;
    for (const note of notes(area)) list.push(note);
  }
  if (read < claimed) anomalies.push(`ELF notes truncated (${read} of ${claimed} bytes read)`);
  return list;
}

/** @param limit maximum number of segments */
function loads(headers: Iterable<ProgramHeader>, limit: number, kcore: boolean, anomalies: string[]): SegmentTable {
  // /proc/kcore before 4.11 writes 0 for every physical address.
  const physicalKnown = !kcore || anyPhysical(headers);
  const segments = new SegmentTable(limit);
  let beyond = 0;
  let first = 0n;
  for (const { type, offset, virtual, physical, fileSize, memorySize } of headers) {
    if (type !== PT_LOAD || memorySize === 0n) continue;
    const stored = Number(fileSize);
    const described = Math.max(stored, Number(memorySize));
    // /proc/kcore has -1 for vmalloc and vmemmap.
    const known = physicalKnown && physical + BigInt(described) <= PHYSICAL_END;
    // QEMU writes the physical address or 0: kernel addresses are in the upper half.
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
    const segment = beyond === 1 ? `segment at ${at}` : `${beyond} segments (first at ${at})`;
    anomalies.push(`${segment} beyond physical memory ignored`);
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
function isKcore(source: ByteSource, notes: readonly Note[]): boolean {
  if (source.size === Number.POSITIVE_INFINITY) return true;
  return notes.some((note) => note.name === 'CORE' && note.type === NT_TASKSTRUCT);
}

/** @throws {KernelError} `not-a-dump` for the core of a process (only those contain an auxv note). */
function rejectProcessCore(source: ByteSource, notes: readonly Note[]): void {
  if (!notes.some((note) => note.name === 'CORE' && note.type === NT_AUXV)) return;
  throw new KernelError('not-a-dump', `${source.name}: core dump of a process, not of a kernel`);
}

function describe(kcore: boolean, notes: readonly Note[], segments: SegmentTable): string {
  if (kcore) return '/proc/kcore';
  if (segments.described.some((bytes, segment) => bytes > segments.stored[segment]!)) {
    return 'ELF core (filtered by makedumpfile)';
  }
  if (notes.some((note) => note.name === 'QEMU')) return 'ELF core (QEMU)';
  return segments.hasVirtual ? 'ELF core (kdump)' : 'ELF core (no virtual addresses)';
}

/** @throws {KernelError} `unsupported-format` for a Xen host's dump: its addresses are the hypervisor's. */
function rejectXen(source: ByteSource, notes: readonly Note[]): void {
  if (!notes.some(({ name }) => name === 'Xen' || name === 'VMCOREINFO_XEN')) return;
  throw new KernelError('unsupported-format', `${source.name}: unsupported format (Xen dump)`);
}

/** The smallest page size: a boundary within such a page is within every larger one. */
const PAGE = 4096;

/**
 * Returns a predicate for 4 KiB pages that the image may contain only partially, by a physical
 * address in the page. Only segments of an ELF file begin and end within pages.
 */
export function partialPages({ facts }: MemoryImage): (address: number) => boolean {
  const pages = new Set<number>();
  if (facts.format !== 'diskdump') {
    for (const { start, end } of facts.physicalRanges)
      for (const edge of [start, end]) if (edge % PAGE !== 0) pages.add(Math.floor(edge / PAGE));
  }
  return (address) => pages.has(Math.floor(address / PAGE));
}
