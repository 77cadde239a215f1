// The room of `extract`: which bytes of a dump its answers take, and a dump of just these. It asks the
// questions of walk/ and account/ over a recorded kernel. It must not know how structs of sockets are
// laid out (what is read is what is kept), how formats are read, or how anything is shown.
import { bytesOf } from '../kernel/bytes.js';
import { ReadError } from '../kernel/error.js';
import { architectureOf } from '../kernel/native/arch/architecture-of.js';
import type { MemoryImage } from '../kernel/native/image/image.js';
import { type PackedGroup, packedPagesNote } from '../kernel/native/image/packed-pages.js';
import { lastAtOrBelow } from '../kernel/native/image/sorted.js';
import type { NativeKernel } from '../kernel/native/kernel.js';
import { type NativeOptions, openNativeImage } from '../kernel/native/open.js';
import { anonymous, type Patches } from './anonymize/anonymous.js';
import { keepConstantsWhole } from './constants.js';
import { readDirectMapTables, readForDebuggers } from './debuggers/debuggers.js';
import { kernelVersion } from './debuggers/uts-names.js';
import { KeptPages, WHOLE } from './kept-pages.js';
import { readLog } from './log.js';
import { infoText, keptNotes } from './notes.js';
import { askEverything, attempt, type Scope } from './questions.js';
import { RecordingImage } from './recording-image.js';
import { forgetOrderOfNames, packTables, readTables } from './tables.js';
import { type Compression, compressor } from './write/compress.js';
import { type DumpHead, type DumpPage, writeDiskdump } from './write/diskdump.js';
import { checkOutput, OutputFile } from './write/output-file.js';

export interface ExtractOptions extends Scope {
  /** What the kernel was opened with, where it does not explain itself. */
  readonly files?: Pick<NativeOptions, 'symbols' | 'btf' | 'vmlinux'>;
  readonly output: string;
  /** Replace a file that is there. */
  readonly force?: boolean;
  readonly compression: Compression;
  readonly anonymize?: boolean;
  /** Keep the kernel's log. */
  readonly log?: boolean;
  /** Told now and then what is being done. */
  readonly onProgress?: (words: string) => void;
}

export interface Extracted {
  /** Bytes of the file. */
  readonly size: number;
  readonly pages: number;
  /** Those of which only a part is kept. */
  readonly partialPages: number;
}

/** makedumpfile's level for zero pages, cache, private, user and free pages: all that can be left out. */
const DUMP_LEVEL = 31;

/**
 * Writes a dump that holds what this program reads to answer its questions, and what crash and drgn
 * need to open it, and nothing else: of a page only the bytes that were read are kept.
 *
 * @param kernel the dump, opened without recording; stays open
 * @throws {ExtractError} when it cannot be written; {@link WalkError} when what `options` ask for is
 *   not there; {@link KernelError} or {@link ReadError} when the dump cannot be read
 */
export async function extract(kernel: NativeKernel, options: ExtractOptions): Promise<Extracted> {
  const progress = options.onProgress ?? (() => {});
  const compress = await compressor(options.compression);
  const { output, force = false } = options;
  checkOutput(output, force);
  const kept = new KeptPages(kernel.facts.pageSize);
  const { image, vmcoreinfo } = kernel;
  const recorded = new RecordingImage(image, infoText(vmcoreinfo), kept);
  const recording = openNativeImage(recorded, options.files, image);
  progress('reading the kernel’s tables');
  readTables(recording);
  progress('asking every question');
  const sockets = askEverything(recording, options);
  const isStored = storedIn(image);
  const store = (address: bigint): void => {
    const physical = recording.physicalOf(address);
    if (physical !== undefined && isStored(physical)) kept.store(physical);
  };
  readForDebuggers(recording, store);
  attempt(() => readLog(recording, store, options.log ?? false));
  forgetOrderOfNames(kernel, kept);
  keepConstantsWhole(kernel, kept);
  const arch = architectureOf(recorded, vmcoreinfo);
  readDirectMapTables(kernel, arch, kept.pages);

  const patches: Patches = options.anonymize ? anonymous(kernel, sockets) : new Map();
  progress('packing the kernel’s tables');
  const tables = packTables(kernel, kept, (page) => pageOf(image, kept, page, patches).bytes);
  const packed = tables.flatMap(({ runs }) => runs);
  for (const { start, end } of packed)
    for (let at = start; at < end; at += kept.pageSize) kept.drop(at / kept.pageSize);
  const pages = kept.pages;
  let partialPages = 0;
  const count = (page: DumpPage): DumpPage => {
    if (page.kept !== undefined) partialPages++;
    return page;
  };
  const size = writeDiskdump(
    () => new OutputFile(output, force),
    headOf(kernel, arch.machine, tables),
    pages.length,
    mapped(pages, (number) => count(pageOf(image, kept, number, patches))),
    (limit) => existing(image, kept, limit),
    options.compression,
    compress,
    (done, bytes) =>
      progress(`page ${done} of ${pages.length}, ${(bytes / 2 ** 20).toFixed(1)} MiB`),
  );
  return {
    size,
    pages:
      pages.length + packed.reduce((sum, { start, end }) => sum + (end - start), 0) / kept.pageSize,
    partialPages,
  };
}

function headOf(kernel: NativeKernel, machine: string, tables: readonly PackedGroup[]): DumpHead {
  const { facts, vmcoreinfo, image } = kernel;
  const notes = keptNotes(image.notes ?? [], vmcoreinfo);
  return {
    pageSize: facts.pageSize,
    machine,
    release: facts.release,
    version: kernelVersion(kernel),
    physBase: vmcoreinfo.number('phys_base') ?? 0n,
    dumpLevel: DUMP_LEVEL,
    cpus: Math.max(1, notes.length - 1),
    notes: tables.length === 0 ? notes : [...notes, packedPagesNote(facts.pageSize, tables)],
  };
}

/** A page as it is written: zeros over all that is not kept. */
function pageOf(image: MemoryImage, kept: KeptPages, number: number, patches: Patches): DumpPage {
  const { pageSize } = kept;
  const start = number * pageSize;
  const ranges = kept.rangesOf(number);
  const bytes = new Uint8Array(pageSize);
  for (const { start: from, end } of ranges === WHOLE ? [{ start: 0, end: pageSize }] : ranges)
    bytes.set(bytesOf(image.readPhysical(start + from, end - from)), from);
  const all = ranges === WHOLE || isZeroBeside(image, start, bytes);
  for (const { at, bytes: patch } of patches.get(number) ?? []) {
    patch.forEach((byte, index) => {
      if (all || ranges.some((range) => at + index >= range.start && at + index < range.end))
        bytes[at + index] = byte;
    });
  }
  return { number, bytes, kept: all ? undefined : ranges };
}

/** Tells of a physical address whether a dump has any of its page. */
function storedIn(image: MemoryImage): (physical: number) => boolean {
  const bounds: number[] = [];
  for (const { start, end } of image.facts.physicalRanges) bounds.push(start, end);
  const sorted = Float64Array.from(bounds);
  // From a start to its end.
  return (physical) => lastAtOrBelow(sorted, physical) % 2 === 0;
}

/** Whether what is not kept of a page is zero anyway: then all of it can be told. */
function isZeroBeside(image: MemoryImage, start: number, kept: Uint8Array): boolean {
  try {
    return Buffer.compare(bytesOf(image.readPhysical(start, kept.length)), kept) === 0;
  } catch (error) {
    if (error instanceof ReadError) return false;
    throw error;
  }
}

/** Numbers of the pages below `limit` of which the dump says that they exist. */
function* existing(image: MemoryImage, kept: KeptPages, limit: number) {
  const { pageSize } = kept;
  for (const { start, end } of image.facts.existingRanges ?? image.facts.physicalRanges) {
    const first = Math.floor(start / pageSize);
    if (first < limit) yield { start: first, end: Math.min(limit, Math.ceil(end / pageSize)) };
  }
  for (const page of kept.missing) if (page < limit) yield { start: page, end: page + 1 };
}

function* mapped<From, To>(all: Iterable<From>, to: (one: From) => To): Generator<To> {
  for (const one of all) yield to(one);
}
